"""What every space does, and what one says of itself that is opened by the name of a model."""

import functools
import importlib
import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Int

from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.typing import Points

S = TypeVar("S", bound="Space")
Progress = Callable[[Iterable[Any]], Iterable[Any]]
"""Wraps an iteration, to show how far it is; ``iter`` shows nothing."""


_TAKE_TEXTS = (
    "encode",
    "encode_representations",
    "generate",
    "log_likelihoods",
    "posterior",
    "prompt_lengths",
    "token_counts",
    "token_log_likelihoods",
    "token_states_of",
    "truncated",
)
"""Methods of spaces whose first argument is texts."""
_REGISTRY = "lexframe.spaces.registry"  # by its name: it stands on the contracts, and is loaded for a name alone


def _for_texts_of_any_kind(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose first argument may be whatever holds texts: see :func:`lexframe.checks.texts_in`."""
    first = list(inspect.signature(method).parameters)[1]

    @functools.wraps(method)
    def with_a_list(self: "Space", *given: Any, **options: Any) -> Any:
        if given:
            given = (texts_in(given[0], what=first), *given[1:])
        elif first in options:
            options[first] = texts_in(options[first], what=first)
        return method(self, *given, **options)

    return with_a_list


class Space(ABC):
    """Turns texts into points of one fixed vector space.

    Whatever holds texts is taken where texts go, in every space: one string is one text.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in _TAKE_TEXTS:
            if name in cls.__dict__:
                setattr(cls, name, _for_texts_of_any_kind(cls.__dict__[name]))

    @classmethod
    def of(cls: type[S], given: Any) -> S:
        """The space that is given, or named: a name is opened, as :func:`lexframe.spaces.open_space` does it without options.

        This is the door of every function that takes a space. A name is opened anew each time; who calls more than once, or wants
        another layer, opens the space once.

        Parameters
        ----------
        given : Space or str
            A space, or ``"embedded"``, a local folder or a hub id.

        Raises
        ------
        ModelError
            If the model cannot be opened.
        InputError
            If it is neither a space nor a name, or a space without the powers of this class.
        """
        named = isinstance(given, str | os.PathLike)
        space = importlib.import_module(_REGISTRY).open_space(given) if named else given
        if isinstance(space, cls):
            return space
        if not isinstance(space, Space):
            raise InputError(
                f"space is {type(given).__name__}; expected a space or the name of a model, as open_space('embedded') opens it."
            )
        wanted = (inspect.getdoc(cls) or "").partition("\n")[0].rstrip(".")
        name = repr(str(given)) if named else "This space"
        raise InputError(
            f"{name} is a {type(space).__name__}, and a {cls.__name__} is needed: {wanted[:1].lower()}{wanted[1:]}. Open another model."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.fingerprint}, {self.n_dims} dimensions>"

    @property
    @abstractmethod
    def n_dims(self) -> int:
        """Dimensions of a point."""

    @property
    @abstractmethod
    def fingerprint(self) -> SpaceFingerprint:
        """What decides which point a text becomes."""

    @abstractmethod
    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Points of `texts`.

        Parameters
        ----------
        texts : sequence of str
            Any number, none included.
        batch_size : int, optional
            Texts in one forward pass. Never changes a row beyond the stated tolerance. Default: what suits the device.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        ndarray of shape (n_texts, n_dims), float32
            In the order of `texts`.
        """

    @property
    def device(self) -> str:
        """Where the model behind the space computes, such as ``cpu`` or ``cuda:0``."""
        return "cpu"

    @property
    def on_gpu(self) -> bool:
        """Whether the model behind the space computes on a GPU."""
        return self.device.startswith("cuda")

    def networks(self) -> Sequence[Any]:
        """Torch modules that the space computes with, so that processes can share their weights."""
        return ()

    @property
    def max_length(self) -> int | None:
        """Tokens after which a text is cut, those around it included; None where no text is cut."""
        return None

    def __sklearn_clone__(self) -> "Space":
        """A space is frozen: clones of an estimator share it."""
        return self

    def truncated(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than the space can take and are cut: bool, shape (n_texts,)."""
        return np.zeros(len(texts), dtype=bool)

    def token_counts(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of each text as the space reads it; words, where the space has no tokens."""
        return np.array([len(text.split()) for text in texts], dtype=np.int64)


class OpenableSpace(Space):
    """A space that is opened by the name of a model.

    Its class says of itself all that is needed to open it; see :mod:`lexframe.spaces.registry` for how it is found. The model is
    the first parameter of its constructor, and the keyword-only parameters are its options.
    """

    kind: ClassVar[str]
    """What the space is asked for by, such as ``"language-model"``."""

    @classmethod
    @abstractmethod
    def recognizes(cls, model: str) -> bool:
        """Whether `model`, a name or a folder, is of this kind. Looks at names and files only, and opens nothing.

        Parameters
        ----------
        model : str
            As people give it; perhaps the name of nothing.
        """

    @classmethod
    @abstractmethod
    def reopening(cls, fingerprint: SpaceFingerprint) -> dict[str, Any]:
        """Options that open the space of `fingerprint` again, but for the device.

        Parameters
        ----------
        fingerprint : SpaceFingerprint
            Of a space of this class.
        """

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Options that the space takes, with their defaults: the keyword-only parameters of its constructor."""
        parameters = inspect.signature(cls).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


class FittedSpace(OpenableSpace):
    """A space whose dimensions come from texts: it is fitted before it encodes, and a fitted one never changes."""

    @property
    @abstractmethod
    def is_fitted(self) -> bool:
        """Whether texts have said what the dimensions are."""

    @abstractmethod
    def fitted_on(self, texts: Sequence[str]) -> "FittedSpace":
        """The space that these texts give, fitted.

        Parameters
        ----------
        texts : sequence of str
            Those that are learnt from, and no other.
        """


def fitted_space(space: Space, texts: Sequence[str]) -> Space:
    """The space as it is, or fitted on these texts where it still has to be.

    Parameters
    ----------
    space : Space
    texts : sequence of str
    """
    return space.fitted_on(texts) if isinstance(space, FittedSpace) and not space.is_fitted else space
