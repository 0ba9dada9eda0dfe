"""How texts are written: which of the likely tokens is taken each time."""

from dataclasses import dataclass

from lexframe.exceptions import InputError
from lexframe.spaces.base import DecodableSpace, Progress
from lexframe.typing import Points

_COLD = 1e-5
"""A temperature below which probabilities overflow, and the likeliest token is all that is left."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How texts are written, from points or after prompts.

    Attributes
    ----------
    temperature : float
        0 takes the likeliest token each time.
    top_p : float
        Draw from the likeliest tokens that together have this probability.
    seed : int
        Of all that is drawn.
    batch_size : int or None
        Texts in one pass; None is what suits the space.

    Raises
    ------
    InputError
        If the temperature is below 0, or `top_p` is not in (0, 1].
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if not self.temperature >= 0 or not 0 < self.top_p <= 1:
            raise InputError(f"temperature is {self.temperature} and top_p {self.top_p}; expected at least 0, and in (0, 1].")

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is taken each time."""
        return self.temperature < _COLD

    @property
    def parameters(self) -> dict[str, float]:
        """What a provenance keeps of it beside the seed."""
        return {"temperature": self.temperature, "top_p": self.top_p}

    def texts(self, space: DecodableSpace, points: Points, *, progress: Progress = iter) -> list[str]:
        """A text for every point, as ``space.decode`` writes it.

        Parameters
        ----------
        space : DecodableSpace
        points : ndarray of shape (n_texts, n_dims), float32
        progress : callable
            Wraps the iteration over batches.
        """
        return space.decode(
            points, temperature=self.temperature, top_p=self.top_p, seed=self.seed, batch_size=self.batch_size, progress=progress
        )
