"""One way to read texts: which states of a text become its points, and an object that reads every text once.

A :class:`Reading` says what is read, a :class:`TextReader` reads it. What it has read lives in a latent store when a folder is
given, in memory otherwise, and texts are told apart by their content: whoever asks again, or for more texts, waits for the new ones only.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.files import write_json
from lexframe.latents.blocks import text_blocks, vector_columns
from lexframe.latents.encoding import StoreSettings, Workers, encode_to_store
from lexframe.latents.schema import ID
from lexframe.latents.store import LatentStore
from lexframe.spaces.base import Progress, Representation, Space, TokenSpace, fitted_space, resolve_layer
from lexframe.typing import ModelName, Points, Texts

States = Float[np.ndarray, "n_texts n_blocks n_block_dims"]
OWN = "own points"
_SECONDS = "encode-seconds.json"
_SHARES = (1 / 3, 2 / 3, 1)


@dataclass(frozen=True, slots=True)
class Reading:
    """Which states of a text become its points.

    Attributes
    ----------
    representations : tuple of Representation
        Layers and poolings, where the space has layers; a space without them has its own points alone.
    own_points : bool
        Whether the points of the space itself come first.
    scaled : bool
        Whether each of them is centered and brought to one mean length over the texts that a reader is fitted on.

    Raises
    ------
    InputError
        If nothing is read.
    """

    representations: tuple[Representation, ...] = ()
    own_points: bool = True
    scaled: bool = False

    def __post_init__(self) -> None:
        if not self.own_points and not self.representations:
            raise InputError("A reading has neither the space's own points nor a representation. Name a layer and a pooling.")

    @classmethod
    def own(cls) -> "Reading":
        """The points of the space itself."""
        return cls()

    @classmethod
    def thirds(
        cls, space: Space, *, poolings: Sequence[str] = ("last", "mean"), own_points: bool = True, scaled: bool = False
    ) -> "Reading":
        """Layers a third, two thirds and all the way up; of a space without layers its own points as they are.

        Parameters
        ----------
        space : Space
        poolings : sequence of str
            Each layer is read in all of them.
        own_points, scaled : bool
            See :class:`Reading`.
        """
        if not isinstance(space, TokenSpace):
            return cls()
        layers = sorted({max(1, round(space.n_layers * share)) for share in _SHARES})
        numbers = [-1 if layer == space.n_layers else layer for layer in layers]
        return cls(tuple(Representation(layer, pooling) for layer in numbers for pooling in poolings), own_points, scaled)

    def asked(self, space: Space) -> tuple[Representation, ...]:
        """What is asked of the space, its own points first and nothing twice; empty where its own points are all.

        Raises
        ------
        InputError
            If only representations are read, and the space has no layers.
        """
        if not isinstance(space, TokenSpace):
            if not self.own_points:
                raise InputError(f"{type(space).__name__} has no layers to choose from; read its own points.")
            return ()
        own = [Representation(getattr(space, "layer", -1), getattr(space, "pooling", "last"))] if self.own_points else []
        found: dict[Representation, Representation] = {}
        for wanted in [*own, *self.representations]:
            found.setdefault(Representation(resolve_layer(wanted.layer, space.n_layers), wanted.pooling), wanted)
        kept = tuple(found.values())
        return () if self.own_points and len(kept) == 1 else kept

    def names(self, space: Space) -> tuple[str, ...]:
        """What people call the blocks, such as ``own points`` and ``4:mean``."""
        names = [str(wanted) for wanted in self.asked(space)] or [OWN]
        return (OWN, *names[1:]) if self.own_points else tuple(names)

    def only(self, block: int, space: Space) -> "Reading":
        """The reading of one of its blocks alone."""
        return Reading.own() if self.own_points and block == 0 else Reading((self.asked(space)[block],), own_points=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {"representations": [str(wanted) for wanted in self.representations], "own_points": self.own_points, "scaled": self.scaled}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Reading":
        """Back from :meth:`to_dict`."""
        wanted = tuple(Representation.parse(text) for text in document["representations"])
        return cls(wanted, bool(document["own_points"]), bool(document["scaled"]))

    def digest(self, space: Space) -> str:
        """Twenty hex digits that differ when the same text becomes other points."""
        document = f"{space.fingerprint.digest} {' '.join(map(str, self.asked(space)))}"
        return hashlib.sha256(document.encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Centers and mean lengths of blocks of points, to place other texts in the same coordinates.

    Attributes
    ----------
    centers : ndarray of shape (n_blocks, n_block_dims), float32
    sizes : ndarray of shape (n_blocks,), float32
        Root mean squared length after the centers are taken off.
    """

    centers: Float[np.ndarray, "n_blocks n_block_dims"]
    sizes: Float[np.ndarray, " n_blocks"]

    @classmethod
    def of(cls, states: States) -> "Scaling":
        """Of some texts; of none, or of equal ones, lengths stay as they are."""
        some = len(states) > 0
        centers = states.mean(axis=0, dtype=np.float64).astype(np.float32) if some else np.zeros(states.shape[1:], np.float32)
        lengths = [
            np.mean(np.sum((states[:, j] - center) ** 2, axis=1, dtype=np.float64)) if some else 1.0 for j, center in enumerate(centers)
        ]
        return cls(centers, np.sqrt(np.array([length or 1.0 for length in lengths])).astype(np.float32))

    def __call__(self, states: States) -> States:
        """States in these coordinates."""
        return (states - self.centers) / self.sizes[:, np.newaxis]


class TextReader:
    """Reads texts in one way, each of them once.

    Parameters
    ----------
    space : Space
        Frozen.
    reading : Reading, optional
        Default: the points of the space itself.
    folder : str or Path, optional
        A latent store for the points of this space and reading; made when missing. It outlives the process, and another space or
        reading is refused.
    batch_size : int, optional
        Texts in one forward pass. Default: what suits the device.
    remember : bool
        Whether points stay in memory where no folder is given.

    Attributes
    ----------
    scaling : Scaling or None
        Of a scaled reading, after :meth:`fit_encode`.

    Examples
    --------
    >>> from lexframe import ToySpace
    >>> reader = TextReader(ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0]}))
    >>> reader.encode(["cat cat dog dog"])
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(
        self,
        space: Space | ModelName,
        reading: Reading | None = None,
        *,
        folder: str | Path | None = None,
        batch_size: int | None = None,
        remember: bool = True,
    ):
        space = Space.of(space)
        self.space, self.reading = space, Reading.own() if reading is None else reading
        self.folder = None if folder is None else Path(folder)
        self.batch_size, self.remember = batch_size, remember
        self.scaling: Scaling | None = None
        self._asked = self.reading.asked(space)
        self._rows: dict[str, int] = {}
        self._states: States | None = None
        self._seconds = 0.0

    @property
    def encode_seconds(self) -> float:
        """What reading took so far; of a folder, what all texts in it took."""
        return self._seconds if self.folder is None else _seconds_of(self.folder)

    def fitted_on(self, texts: Texts) -> "TextReader":
        """The reader itself, or where its space has still to be fitted, one of the space that these texts give.

        Parameters
        ----------
        texts : sequence of str
            Those that are learnt from, and no other.
        """
        space = fitted_space(self.space, texts_in(texts))
        if space is self.space:
            return self
        return TextReader(space, self.reading, folder=self.folder, batch_size=self.batch_size, remember=self.remember)

    def states(self, texts: Texts, *, progress: Progress = iter) -> States:
        """Every block of points as the space gives it.

        Parameters
        ----------
        texts : sequence of str
            Any number; one that stands twice is read once.
        progress : callable
            Wraps the iteration over batches; with a folder, over blocks of texts.

        Raises
        ------
        FingerprintMismatch
            If the folder holds points of another space.
        InputError
            If the folder holds another reading, or cannot be written.
        """
        texts = texts_in(texts)
        if self.folder is not None:
            return self._from_store(texts, self.folder, progress)
        new = list(dict.fromkeys(text for text in texts if text not in self._rows))
        rows, states = self._rows, self._states
        if new or states is None:
            read = self._read(new, progress)
            rows = rows | {text: len(rows) + number for number, text in enumerate(new)}
            states = read if states is None else np.concatenate([states, read])
        if self.remember:
            self._rows, self._states = rows, states
        wanted = [rows[text] for text in texts]
        return states if wanted == list(range(len(states))) else states[wanted]  # nothing is copied where all is asked for

    def encode(self, texts: Texts, *, progress: Progress = iter) -> Points:
        """One point a text: its blocks side by side, scaled if the reading is.

        Parameters
        ----------
        texts : sequence of str
        progress : callable
            See :meth:`states`.

        Raises
        ------
        InputError
            If the reading is scaled, and no texts have been seen that say how.
        """
        return self._placed(self.states(texts, progress=progress))

    def fit_encode(self, texts: Texts, *, progress: Progress = iter) -> Points:
        """Like :meth:`encode`, after these texts have said how a scaled reading is scaled.

        Parameters
        ----------
        texts : sequence of str
        progress : callable
            See :meth:`states`.
        """
        states = self.states(texts, progress=progress)
        if self.reading.scaled:
            self.scaling = Scaling.of(states)
        return self._placed(states)

    def _placed(self, states: States) -> Points:
        if self.reading.scaled:
            if self.scaling is None:
                raise InputError("This reading is scaled, and no texts have said how yet. Call fit_encode with the texts to scale by.")
            states = self.scaling(states)
        return np.ascontiguousarray(states.reshape(len(states), states.shape[1] * states.shape[2]), dtype=np.float32)

    def _read(self, texts: Sequence[str], progress: Progress) -> States:
        started = time.perf_counter()
        options: dict[str, Any] = {"batch_size": self.batch_size, "progress": progress}
        if self._asked:
            assert isinstance(self.space, TokenSpace)
            states = self.space.encode_representations(texts, self._asked, **options)
        else:
            states = self.space.encode(texts, **options)[:, np.newaxis]
        self._seconds += time.perf_counter() - started
        return states

    def _from_store(self, texts: Sequence[str], folder: Path, progress: Progress) -> States:
        columns = vector_columns(self.space, self._asked)
        names = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for text in texts]
        first = dict(zip(names, texts, strict=True))
        store = LatentStore(folder) if LatentStore.exists(folder) else None
        places = {} if store is None else _places(store)
        if store is not None and len(store):
            store.require(columns)
        if store is None or not places.keys() >= first.keys():  # a store that holds everything is only read, by any number of processes
            started = time.perf_counter()
            blocks = progress(list(text_blocks(first.values(), ids=first)))
            settings, workers = StoreSettings(keep_text=False), Workers(batch_size=self.batch_size)
            encode_to_store(self.space, blocks, folder, representations=self._asked, settings=settings, workers=workers)
            write_json(folder / _SECONDS, {"seconds": _seconds_of(folder) + time.perf_counter() - started})
            store = LatentStore(folder)
            places = _places(store)
        rows = [places[name] for name in names]
        return np.stack([store.take(rows, column.name) for column in columns], axis=1)


def _places(store: LatentStore) -> dict[str, int]:
    return {name: row for row, name in enumerate(store.query(columns=[ID])[ID])}


def _seconds_of(folder: Path) -> float:
    try:
        return float(json.loads((folder / _SECONDS).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0  # a note beside the points, not a part of them
