"""What the examples of a direction say beforehand of how well it will work."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preflight:
    """What says beforehand whether a direction is likely to steer.

    Attributes
    ----------
    n_positive, n_negative : int
        Examples of each pole.
    pair_cosine : float
        Mean cosine between the differences of training pairs: 1 where all pairs differ in the same way, 0 where in any.
    separation : float or None
        d′ on examples left out: the gap between the poles along the direction over their spread. None with fewer than four
        examples of a pole.

    References
    ----------
    Tan et al. (2024), arXiv:2407.12404, and Braun et al. (2025), arXiv:2505.22637: concepts with low values of either steer
    unreliably.
    """

    n_positive: int
    n_negative: int
    pair_cosine: float
    separation: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return asdict(self)
