r"""The claim that a prompt selects a region of the latent space, measured with its controls.

Two questions about prompts on a topic, each followed by the same neutral continuations. Do the words of the topic become likelier than
without the prompt, and more so than after prompts on other topics? And does the state lie in the subspace that other prompts on the topic
fill, rather than in that of another topic? Words and subspaces come from training texts, prompts from others. A prompt whose words are
shuffled and a model that has learned nothing say how much of the answer needs order, and how much needs training.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from lexframe.exceptions import InputError, VocabularyError
from lexframe.intervals import Estimate, mean_over_items
from lexframe.linalg import softmax
from lexframe.provenance import Provenance
from lexframe.spaces.base import LensSpace
from lexframe.studies.selection_result import MEASURES, SelectionScore, SelectionStudy
from lexframe.studies.state_parts import LastStates, StateParts, fit_state_parts, last_states
from lexframe.studies.subspace import principal_axes, share_inside

if TYPE_CHECKING:
    pass

CONTINUATIONS = (" This is about the", " People are talking about the", " Here is more on the")
"""Neutral endings: what stands last is the same after every prompt, so that the last token decides nothing."""

_WORD = re.compile(r"[a-z]{3,}")
_BLOCK = 256


def topic_words(
    space: LensSpace, texts: Sequence[str], labels: Sequence[str], *, n_words: int = 40, prior: float = 10.0
) -> dict[str, tuple[str, ...]]:
    """Words that mark each topic: the largest z-scores of their log-odds against the other topics, with an informative prior.

    Parameters
    ----------
    space : LensSpace
        Words that its vocabulary does not write as one item are passed over.
    texts, labels : sequence of str
        The training part.
    n_words : int
        For each topic.
    prior : float
        Weight of the frequencies in all texts, in words for a word of mean frequency: rare words need more to show.

    Returns
    -------
    dict of str to tuple of str
        Topics sorted, the most telling words first; no word belongs to two.

    Raises
    ------
    InputError
        If there are fewer than two topics.

    References
    ----------
    Monroe, Colaresi and Quinn (2008), Fightin' words, eqs. (15), (16) and (22).
    """
    topics = sorted(set(labels))
    if len(topics) < 2:
        raise InputError(f"{len(topics)} topics were given; words tell topics apart only where there are two or more.")
    counts = {topic: Counter[str]() for topic in topics}
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(_WORD.findall(text.lower()))
    total = sum(counts.values(), Counter[str]())
    known = [word for word in sorted(total) if total[word] >= 5 and _is_one_item(space, word)]
    everywhere = np.array([total[word] for word in known], dtype=np.float64)
    weights = prior * everywhere / max(float(everywhere.mean()), 1.0) if known else everywhere
    scores = np.stack([_log_odds(np.array([counts[topic][word] for word in known], dtype=float), everywhere, weights) for topic in topics])
    best = scores.argmax(axis=0)
    return {
        topic: tuple(known[i] for i in np.argsort(-scores[row], kind="stable") if best[i] == row and scores[row, i] > 0)[:n_words]
        for row, topic in enumerate(topics)
    }


def _log_odds(own: np.ndarray, everywhere: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """z-scores of the log-odds of words in one topic against all others."""
    others = everywhere - own
    mine, theirs = own + prior, others + prior
    ratio = np.log(mine / np.maximum(mine.sum() - mine, 1e-9)) - np.log(theirs / np.maximum(theirs.sum() - theirs, 1e-9))
    return ratio / np.sqrt(1 / mine + 1 / theirs)


def _is_one_item(space: LensSpace, word: str) -> bool:
    try:
        return len(space.word_ids(word)) == 1
    except VocabularyError:
        return False


@dataclass(frozen=True, slots=True)
class LabeledTexts:
    """Texts and the topic of each.

    Attributes
    ----------
    texts, labels : sequence of str
    """

    texts: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class SelectionSize:
    """How much a study of selection looks at.

    Attributes
    ----------
    n_axes : int
        Rank of every topic's subspace. Its origin is the mean of all topics, so where a topic lies counts as well as how it varies.
    n_words : int
        Words of each topic.
    max_words : int
        Prompts and training texts are cut there, so that they end at like positions.
    max_read : int
        Training texts of each topic that the models read for its subspace; words are counted in all of them.
    """

    n_axes: int = 8
    n_words: int = 40
    max_words: int = 30
    max_read: int = 200


def measure_selection(
    space: LensSpace,
    train: LabeledTexts,
    asked: LabeledTexts,
    *,
    controls: Mapping[str, LensSpace] | None = None,
    continuations: Sequence[str] = CONTINUATIONS,
    layer: int = -1,
    size: SelectionSize | None = None,
    seed: int = 0,
) -> SelectionStudy:
    """Measure whether held-out prompts on a topic select its words and its subspace.

    Parameters
    ----------
    space : LensSpace
    train : LabeledTexts
        Give the words, the nuisance parts and the subspaces.
    asked : LabeledTexts
        Held-out prompts and their topics, which must be among the training labels.
    controls : mapping of str to LensSpace, optional
        Other models with the same vocabulary by name, such as ``{"untrained": ...}``; read with the same words, and with subspaces of
        their own.
    continuations : sequence of str
        Written after every prompt; results are means over them.
    layer : int
        Whose states are looked at.
    size : SelectionSize, optional
        How many axes and words, and how much is read.
    seed : int
        Of the shuffled words and the bootstrap.

    Returns
    -------
    SelectionStudy

    Raises
    ------
    InputError
        If there are no prompts, fewer than two topics, a topic without training texts or words, or too few texts for the axes.
    """
    size = size or SelectionSize()
    prompts, labels, n_axes = asked.texts, asked.labels, size.n_axes
    words = topic_words(space, train.texts, train.labels, n_words=size.n_words)
    topics = tuple(words)
    _check(prompts, labels, words, continuations)
    truth = np.array([topics.index(label) for label in labels])
    read = [row for topic in topics for row in [n for n, label in enumerate(train.labels) if label == topic][: size.max_read]]
    shown, shown_topics = [_cut(train.texts[row], size.max_words) for row in read], [topics.index(train.labels[row]) for row in read]
    given = [_cut(text, size.max_words) for text in prompts]
    rng = np.random.default_rng(seed)
    shuffled = [" ".join(rng.permutation(text.split()).tolist()) for text in given]
    ids = [[space.word_ids(word)[0] for word in listed] for listed in words.values()]
    values: dict[tuple[str, str], np.ndarray] = {}
    for name, model in {"": space, **(controls or {})}.items():
        reader = _Reader.of(model, shown, shown_topics, ids, continuations, layer, n_axes)
        for condition, texts in (("prompt", given), ("shuffled", shuffled)):
            found = zip(MEASURES, reader.read(texts), strict=True)
            values |= {(" ".join([name, condition]).strip(), measure): table for measure, table in found}
    contrasts = {key: _contrast(table, truth) for key, table in values.items()}
    scores = tuple(
        SelectionScore(*key, *(mean_over_items(each, seed=seed) for each in (own, other, own - other)))
        for key, (own, other) in contrasts.items()
    )
    gains = {key: own - other for key, (own, other) in contrasts.items()}
    margins: dict[str, dict[str, Estimate]] = {measure: {} for measure in MEASURES}
    for (condition, measure), gain in gains.items():
        if condition != "prompt":
            margins[measure][condition] = mean_over_items(gains["prompt", measure] - gain, seed=seed)
    parameters = {"layer": layer, **asdict(size)}
    provenance = Provenance(space=space.fingerprint, seed=seed, parameters=parameters)
    return SelectionStudy(topics, len(prompts), layer, n_axes, words, scores, margins, provenance)


def _check(prompts: Sequence[str], labels: Sequence[str], words: Mapping[str, tuple[str, ...]], continuations: Sequence[str]) -> None:
    if not len(prompts) or not len(continuations):
        raise InputError(f"There are {len(prompts)} prompts and {len(continuations)} continuations; give one or more of each.")
    if len(prompts) != len(labels):
        raise InputError(f"There are {len(prompts)} prompts but {len(labels)} labels. Give every prompt its topic.")
    unknown = sorted(set(labels) - set(words))
    if unknown:
        raise InputError(f"The topic {unknown[0]!r} has no training text; the topics are {', '.join(words)}. Add texts or leave it out.")
    empty = [topic for topic, listed in words.items() if not listed]
    if empty:
        raise InputError(f"No word of the vocabulary marks the topic {empty[0]!r}. Give more training texts, or leave the topic out.")


def _cut(text: str, max_words: int) -> str:
    return " ".join(text.split()[:max_words])


def _contrast(table: Float[np.ndarray, "n_prompts n_topics"], truth: Int[np.ndarray, " n_prompts"]) -> tuple[np.ndarray, np.ndarray]:
    """Values of each prompt for its own topic, and their mean over the others."""
    own = table[np.arange(len(table)), truth]
    return own, (table.sum(axis=1) - own) / (table.shape[1] - 1)


@dataclass(frozen=True, slots=True)
class _Reader:
    """A model with the words and subspaces of the topics, ready to read prompts."""

    space: LensSpace
    ids: list[list[int]]
    continuations: Sequence[str]
    layer: int
    parts: StateParts
    axes: list[np.ndarray]
    alone: Float[np.ndarray, "n_continuations n_vocab"]

    @classmethod
    def of(
        cls,
        space: LensSpace,
        train: list[str],
        labels: list[int],
        ids: list[list[int]],
        continuations: Sequence[str],
        layer: int,
        n_axes: int,
    ) -> "_Reader":
        continued = [text + continuations[row % len(continuations)] for row, text in enumerate(train)]
        parts, last = fit_state_parts(space, continued, layers=[layer])
        residuals = parts.residuals(last)[0]
        rows = np.array(labels)
        axes = [principal_axes(residuals[rows == topic], n_axes, center=False) for topic in range(len(ids))]
        alone = _next_words(space, last_states(space, list(continuations), layers=[-1]))
        return cls(space, ids, continuations, layer, parts, axes, alone)

    def read(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three measures of every text and topic, averaged over the continuations."""
        totals = np.zeros((3, len(texts), len(self.ids)))
        copied = [set(_ids_of(self.space, text)) for text in texts]
        for row, ending in enumerate(self.continuations):
            found = last_states(self.space, [text + ending for text in texts], layers=[self.layer, -1])
            last, inner = (LastStates(found.layers[i : i + 1], found.states[i : i + 1], found.positions) for i in (1, 0))
            words = _next_words(self.space, last)
            totals[0] += np.stack([_change(words[n], self.alone[row], self.ids) for n in range(len(texts))])
            totals[1] += np.stack([_change(words[n], self.alone[row], self.ids, copied[n]) for n in range(len(texts))])
            residuals = self.parts.residuals(inner)[0]
            totals[2] += np.stack([share_inside(residuals, axes) for axes in self.axes], axis=1)
        words_moved, fresh_moved, shares = totals / len(self.continuations)
        return words_moved, fresh_moved, shares


def _ids_of(space: LensSpace, text: str) -> list[int]:
    """Vocabulary items of a text as it stands, and of its words in small letters as they continue a text."""
    small = [word for word in _WORD.findall(text.lower()) if _is_one_item(space, word)]
    return [*space.token_states(text, layers=[0]).ids, *(space.word_ids(word)[0] for word in small)]


def _next_words(space: LensSpace, found: LastStates) -> Float[np.ndarray, "n_texts n_vocab"]:
    """Probabilities after each text, from states of the last layer."""
    blocks = range(0, found.states.shape[1], _BLOCK)
    logits = [space.lens.logits(space.lens.input(found.states[0, start : start + _BLOCK], layer=-1)) for start in blocks]
    return softmax(np.concatenate(logits).astype(np.float64))


def _change(
    after: Float[np.ndarray, " n_vocab"], alone: Float[np.ndarray, " n_vocab"], ids: list[list[int]], left_out: Collection[int] = ()
) -> Float[np.ndarray, " n_topics"]:
    """Change of the log probability of each topic's words together, less some that are left out; 0 where that leaves none."""
    kept = [[i for i in listed if i not in left_out] for listed in ids]
    return np.array([np.log(after[rest].sum() / alone[rest].sum()) if rest else 0.0 for rest in kept])
