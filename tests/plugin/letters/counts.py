"""A result and its chart."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lexframe.drawing.theme import ACCENT, themed
from lexframe.provenance import Provenance
from lexframe.results import Result

from .space import ALPHABET, LetterSpace


@dataclass(frozen=True, slots=True, eq=False)
class LetterCounts(Result):
    """Letters of some texts.

    Attributes
    ----------
    counts : ndarray of shape (26,)
    provenance : Provenance
    """

    counts: np.ndarray
    provenance: Provenance

    def summary(self) -> str:
        """The most frequent letter."""
        return f"The most frequent letter is {ALPHABET[int(self.counts.argmax())]}."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {"counts": dict(zip(ALPHABET, self.counts.tolist(), strict=True)), "provenance": self.provenance.to_dict()}

    def to_frame(self) -> Any:
        """A row a letter."""
        import pandas as pd

        return pd.DataFrame({"letter": list(ALPHABET), "count": self.counts})

    def chart(self) -> Any:
        """A bar a letter."""
        import altair as alt

        return themed(alt.Chart(self.to_frame()).mark_bar(color=ACCENT).encode(x="letter:N", y="count:Q"))


def count_letters(texts: list[str]) -> LetterCounts:
    """Letters of texts, as a result."""
    space = LetterSpace()
    return LetterCounts(space.encode(texts).sum(axis=0), Provenance(space=space.fingerprint))
