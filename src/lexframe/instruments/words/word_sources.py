"""Word vectors out of spaces: rows of the tables of a vocabulary, semantic bases, and states of words read by the model."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse

from lexframe.checks import texts_in
from lexframe.data.word_vectors import WordVectors
from lexframe.exceptions import InputError, VocabularyError
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress, Space, VocabularySpace
from lexframe.typing import ModelName, Texts

TABLES = ("embedding", "head", "basis")
SOURCES = (*TABLES, "states")


def whole_words(space: VocabularySpace | ModelName) -> tuple[str, ...]:
    """Words that the vocabulary holds as one item, in the order of their ids, which in trained tokenizers is about that of frequency.

    An item is a whole word if it is alphabetic and begins a word: it carries a blank where the vocabulary writes blanks, and is
    otherwise what the tokenizer makes of the word.

    Parameters
    ----------
    space : VocabularySpace or str
        Gives the vocabulary.

    Returns
    -------
    tuple of str
        Without the blank, each once.
    """
    space = VocabularySpace.of(space)
    texts = space.token_texts(range(space.n_vocab))
    alphabetic = [(number, text) for number, text in enumerate(texts) if text.strip(" ").isalpha()]
    marked = [text.strip(" ") for _, text in alphabetic if text.startswith(" ")]
    if marked:
        return tuple(dict.fromkeys(marked))
    return tuple(dict.fromkeys(text for number, text in alphabetic if _ids(space, text) == (number,)))


def vocabulary_vectors(space: VocabularySpace | ModelName, words: Texts, *, table: str = "embedding") -> WordVectors:
    """Vectors of words from a table of the vocabulary; a word of several tokens is the mean of theirs.

    Parameters
    ----------
    space : VocabularySpace or str
        Gives the tables and the ids of words.
    words : sequence of str
        The most frequent first; repeated ones count once. Words that the vocabulary cannot write are left out.
    table : {"embedding", "head", "basis"}
        Rows of the input embedding, rows of the output head, or semantic bases (see :class:`VocabularyFrame`).

    Returns
    -------
    WordVectors

    Raises
    ------
    InputError
        If there is no such table.
    """
    space = VocabularySpace.of(space)
    words = texts_in(words, what="words")
    if table not in TABLES:
        raise InputError(f"table is {table!r}; expected one of {', '.join(TABLES)}.")
    ids = {word: _ids(space, word) for word in dict.fromkeys(words)}
    kept = {word: found for word, found in ids.items() if found}
    used = sorted({number for found in kept.values() for number in found})
    several = {word: found for word, found in kept.items() if len(found) > 1}
    mean = _averaging(list(kept.values()), {number: row for row, number in enumerate(used)})
    return WordVectors(
        tuple(kept),
        np.ascontiguousarray(mean @ _table_rows(space, table, used), dtype=np.float32),
        source=f"{space.fingerprint.model}, {table}",
        provenance=Provenance(space=space.fingerprint, parameters={"table": table}),
        pieces={word: tuple(space.token_texts(found)) for word, found in several.items()},
    )


def state_vectors(
    space: Space | ModelName,
    words: Texts,
    *,
    templates: Sequence[str] = ("{text}",),
    batch_size: int | None = None,
    progress: Progress = iter,
) -> WordVectors:
    """Vectors of words as the space encodes them, alone or in sentences, averaged over the sentences.

    Parameters
    ----------
    space : Space or str
        Any; its layer and pooling decide which state is taken. A sentence encoder gives sentence vectors.
    words : sequence of str
        The most frequent first; repeated ones count once.
    templates : sequence of str
        Sentences with ``{text}`` where the word comes. States of the last token see what stands before the word alone.
    batch_size, progress
        See :meth:`Space.encode`.

    Returns
    -------
    WordVectors

    Raises
    ------
    InputError
        If there is no template, or one without ``{text}``.
    """
    space = Space.of(space)
    words = texts_in(words, what="words")
    without = [template for template in templates if "{text}" not in template]
    if without or not templates:
        raise InputError(f"The template {without[0] if without else ''!r} has no {{text}}. Write {{text}} where the word comes.")
    chosen = tuple(dict.fromkeys(words))
    total = np.zeros((len(chosen), space.n_dims))
    for template in templates:
        texts = [template.replace("{text}", word) for word in chosen]
        total += space.encode(texts, batch_size=batch_size, progress=progress)
    return WordVectors(
        chosen,
        (total / len(templates)).astype(np.float32),
        source=f"{space.fingerprint.model}, states of layer {space.fingerprint.layer}",
        provenance=Provenance(space=space.fingerprint, parameters={"templates": list(templates)}),
    )


def space_vectors(
    space: Space | ModelName,
    source: str,
    extra: Sequence[str] = (),
    *,
    single_token_only: bool = False,
    templates: Sequence[str] = ("{text}",),
    progress: Progress = iter,
) -> WordVectors:
    """Vectors of all whole words of a space's vocabulary, and of some more words.

    Parameters
    ----------
    space : Space or str
        Must have a vocabulary, which is where the candidates come from.
    source : {"embedding", "head", "basis", "states"}
        See :func:`vocabulary_vectors` and :func:`state_vectors`.
    extra : sequence of str
        Words that are wanted even if they are no whole words of the vocabulary; they come last.
    single_token_only : bool
        Leave words of several tokens out. As means of shared tokens they lie near their own inflections for no other reason.
    templates, progress
        For states; see :func:`state_vectors`.

    Returns
    -------
    WordVectors

    Raises
    ------
    InputError
        If there is no such source, or the space has no vocabulary.
    """
    space = Space.of(space)
    if source not in SOURCES:
        raise InputError(f"source is {source!r}; expected one of {', '.join(SOURCES)}, or a file of word vectors.")
    if not isinstance(space, VocabularySpace):
        raise InputError(
            f"{space.fingerprint.model} has no vocabulary to take words from. Name a language model, or a file of word vectors."
        )
    words = [*whole_words(space), *(word for word in extra if not single_token_only or len(_ids(space, word)) == 1)]
    if source == "states":
        return state_vectors(space, words, templates=templates, progress=progress)
    return vocabulary_vectors(space, words, table=source)


def _ids(space: VocabularySpace, word: str) -> tuple[int, ...]:
    """Vocabulary ids of a word; none where it cannot be written."""
    try:
        return space.word_ids(word)
    except VocabularyError:
        return ()


def _table_rows(space: VocabularySpace, table: str, ids: Sequence[int]) -> np.ndarray:
    if table == "basis":
        return VocabularyFrame(space).bases(ids)
    rows = space.embedding() if table == "embedding" else space.unembedding()
    return rows[list(ids)].astype(np.float64)


def _averaging(ids: Sequence[Sequence[int]], row_of: dict[int, int]) -> scipy.sparse.csr_array:
    """The sparse matrix that turns rows of tokens into means by word."""
    columns = [row_of[number] for found in ids for number in found]
    weights = [1 / len(found) for found in ids for _ in found]
    starts = np.concatenate([[0], np.cumsum([len(found) for found in ids], dtype=np.int64)])
    return scipy.sparse.csr_array((weights, columns, starts), shape=(len(ids), len(row_of)))
