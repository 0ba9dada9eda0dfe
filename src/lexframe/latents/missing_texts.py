"""Which texts of a source a store lacks, so that a run that was stopped goes on where it was."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, UInt64

from lexframe.exceptions import InputError
from lexframe.latents.blocks import TextBlock
from lexframe.latents.schema import ID, TEXT
from lexframe.latents.store import LatentStore

IDS_IN_A_SET = 65_536


class MissingTexts:
    """The blocks of a source without the rows that a store holds already.

    A store is looked at once, at the beginning; ids and texts are remembered as two hashes of eight bytes, so that a
    million rows take sixteen megabytes.
    """

    def __init__(self, store: LatentStore, first: Sequence[TextBlock], rest: Iterator[TextBlock]):
        self._path, self._first, self._rest = store.path, first, rest
        self._has_text = TEXT in store.schema.names
        ids, texts = _known(store, self._has_text)
        order = np.argsort(ids)
        self._ids, self._texts = ids[order], texts[order]
        self._seen = _SeenIds()
        self.n_texts = self.n_kept = 0

    def __iter__(self) -> Iterator[TextBlock]:
        for blocks in (self._first, self._rest):
            for block in blocks:
                self.n_texts += len(block)
                present = self._present(block)
                self.n_kept += int(present.sum())
                if not present.all():
                    yield block.only(np.flatnonzero(~present).tolist()) if present.any() else block

    def _present(self, block: TextBlock) -> Bool[np.ndarray, " n"]:
        ids = hashes(block.ids)
        repeated = self._seen.add(ids)
        if repeated is not None:
            raise InputError(f"The id {block.ids[repeated]!r} stands for several texts. Give every text an id of its own, or none.")
        if not len(self._ids):
            return np.zeros(len(block), dtype=bool)
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        present = self._ids[place] == ids
        if self._has_text:
            changed = np.flatnonzero(present & (self._texts[place] != hashes(block.texts)))
            if len(changed):
                raise InputError(
                    f"{self._path} holds another text under the id {block.ids[changed[0]]!r}. Give the texts ids of their own, or "
                    "use another store."
                )
        return present


class _SeenIds:
    """Ids of a run, as hashes of eight bytes: sorted ones, and those of the last blocks in a set until they are many."""

    def __init__(self) -> None:
        self._sorted = np.zeros(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def add(self, ids: UInt64[np.ndarray, " n"]) -> int | None:
        """The place of the first one that was there before; None if all are new, which then are remembered."""
        place = np.minimum(np.searchsorted(self._sorted, ids), max(len(self._sorted) - 1, 0))
        before = self._sorted[place] == ids if len(self._sorted) else np.zeros(len(ids), dtype=bool)
        for row, value in enumerate(ids.tolist()):
            if before[row] or value in self._recent:
                return row
            self._recent.add(value)
        if len(self._recent) >= IDS_IN_A_SET:
            self._sorted = np.sort(np.concatenate([self._sorted, np.fromiter(self._recent, np.uint64, len(self._recent))]))
            self._recent.clear()
        return None


def _known(store: LatentStore, has_text: bool) -> tuple[UInt64[np.ndarray, " n"], UInt64[np.ndarray, " n"]]:
    ids, texts = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.uint64)]
    for batch in store.batches([ID, TEXT] if has_text else [ID]):
        ids.append(hashes(batch.column(ID).to_pylist()))
        texts.append(hashes(batch.column(TEXT).to_pylist()) if has_text else np.zeros(batch.num_rows, dtype=np.uint64))
    return np.concatenate(ids), np.concatenate(texts)


def hashes(texts: Sequence[str]) -> UInt64[np.ndarray, " n"]:
    """Eight bytes of BLAKE2 of every text."""
    wrong = next((text for text in texts if not isinstance(text, str)), None)
    if wrong is not None:
        raise InputError(f"An id or text is {type(wrong).__name__}, not a string: {wrong!r:.60}.")
    joined = b"".join(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(joined, dtype=np.uint64)
