"""BLEU, self-BLEU and edit distance the slow way: one n-gram and one pair of words at a time, in whole numbers and fractions."""

import functools
import math
from fractions import Fraction


def runs(words, n):
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def clipped(candidate, references, n):
    """Matches of one text's n-grams, and how many it has."""
    grams = runs(candidate.split(), n)
    matches = 0
    for gram in set(grams):
        most = max(runs(reference.split(), n).count(gram) for reference in references)
        matches += min(grams.count(gram), most)
    return matches, len(grams)


def reference_length(candidate, references):
    """Of the nearest; the shorter of two."""
    best = None
    for length in sorted(len(reference.split()) for reference in references):
        if best is None or abs(length - len(candidate.split())) < abs(best - len(candidate.split())):
            best = length
    return best


def combine(precisions, c, r):
    if c == 0 or not all(precisions):
        return 0.0
    penalty = 1.0 if c > r else math.exp(1 - r / c)
    return penalty * math.prod(float(p) for p in precisions) ** (1 / len(precisions))


def corpus_bleu(references, candidates, max_n=4):
    precisions = []
    for n in range(1, max_n + 1):
        counts = [clipped(candidate, given, n) for candidate, given in zip(candidates, references, strict=True)]
        matches, total = map(sum, zip(*counts, strict=True))
        precisions.append(Fraction(matches, total) if total else 0)
    c = sum(len(candidate.split()) for candidate in candidates)
    r = sum(reference_length(candidate, given) for candidate, given in zip(candidates, references, strict=True))
    return combine(precisions, c, r)


def sentence_bleu(references, candidate, max_n=4, smoothing="add-one"):
    precisions = []
    for n in range(1, max_n + 1):
        matches, total = clipped(candidate, references, n)
        if n == 1 and matches == 0:
            return 0.0
        if smoothing == "add-one" and n > 1:
            precisions.append(Fraction(matches + 1, total + 1))
        elif smoothing == "epsilon" and matches == 0:
            precisions.append(0.1 / max(1, total))
        else:
            precisions.append(Fraction(matches, total) if total else 0)
    return combine(precisions, len(candidate.split()), reference_length(candidate, references))


def self_bleu(texts, n=4, smoothing="epsilon"):
    return [sentence_bleu(texts[:row] + texts[row + 1 :], text, n, smoothing) for row, text in enumerate(texts)]


def edit_distance(text, other):
    """By the definition: what the last word of each costs."""
    one, two = tuple(text.split()), tuple(other.split())

    @functools.cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (one[i - 1] != two[j - 1]))

    return distance(len(one), len(two))
