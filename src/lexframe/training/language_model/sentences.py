"""Plain short sentences out of documents: what a small text VAE can learn to write."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lexframe.exceptions import DataError, InputError

_BORDER = re.compile(r"(?<=[.!?])[ \n]+(?=[A-Z])")
_PLAIN = re.compile(r"[A-Z][a-z',;\- A-Z]*[.!?]")
_WORD = re.compile(r"[A-Za-z']+")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Prof|Jr|Sr|vs|etc|e\.g|i\.e|No)\.$")


@dataclass(frozen=True, slots=True)
class SentenceRules:
    """What a sentence must be to stay.

    Attributes
    ----------
    min_words, max_words : int
        Its length.
    n_common : int
        Every word is one of so many most frequent words, whatever its case; 0 allows all words.

    Raises
    ------
    InputError
        If no length is left.
    """

    min_words: int = 5
    max_words: int = 12
    n_common: int = 6000

    def __post_init__(self) -> None:
        if not 1 <= self.min_words <= self.max_words or self.n_common < 0:
            raise InputError(
                f"Sentences of {self.min_words} to {self.max_words} words, of {self.n_common} common ones: no sentence is both."
            )


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences, and how many there were.

    Attributes
    ----------
    texts : list of str
        Each once, in order of appearance.
    n_found : int
        Sentences of the wanted length and form, before rare words and repetitions were sorted out.
    """

    texts: list[str]
    n_found: int

    def to_dict(self) -> dict[str, Any]:
        """As plain types, without the texts."""
        return {"n_found": self.n_found, "n_kept": len(self.texts)}


def split_sentences(document: str) -> Iterator[str]:
    """Sentences of a document, by full stop, question or exclamation mark before a capital letter; abbreviations do not end one."""
    held = ""
    for line in document.splitlines():
        for piece in _BORDER.split(line):
            held = f"{held} {piece}" if held else piece
            if not _ABBREVIATION.search(held):
                yield held.strip()
                held = ""
        if held:
            yield held.strip()
            held = ""


def plain_sentences(
    documents: Iterable[str], rules: SentenceRules = SentenceRules(), *, progress: Callable[[Iterable[Any]], Iterable[Any]] = iter
) -> Sentences:
    """Short sentences of letters, commas, hyphens and apostrophes that begin with a capital and end with a mark.

    Parameters
    ----------
    documents : iterable of str
    rules : SentenceRules
    progress : callable
        Wraps the iteration over documents.

    Raises
    ------
    DataError
        If no sentence is left.
    """
    counts: Counter[str] = Counter()
    found: dict[str, None] = {}
    n_found = 0
    for document in progress(documents):
        for sentence in split_sentences(document):
            if rules.min_words <= sentence.count(" ") + 1 <= rules.max_words and _PLAIN.fullmatch(sentence):
                n_found += 1
                counts.update(word.lower() for word in _WORD.findall(sentence))
                found.setdefault(sentence)
    common = {word for word, _ in counts.most_common(rules.n_common or None)}
    texts = [sentence for sentence in found if all(word.lower() in common for word in _WORD.findall(sentence))]
    if not texts:
        raise DataError(f"No sentence follows the rules {asdict(rules)}. Give more text, or allow longer sentences and rarer words.")
    return Sentences(texts=texts, n_found=n_found)
