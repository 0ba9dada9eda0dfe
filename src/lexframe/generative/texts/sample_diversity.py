"""How different samples are from each other, beside as many real texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lexframe.checks import checked_texts
from lexframe.exceptions import DataError
from lexframe.generative.texts.text_diversity import distinct_n, self_bleu
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.text_forms import normalized
from lexframe.typing import Texts

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Diversity:
    """How different some texts are from each other; every figure depends on how many they are.

    Attributes
    ----------
    n_texts : int
    distinct_texts : float
        Different texts over all texts, whatever their case and white space.
    distinct_1, distinct_2 : float or None
        See :func:`~lexframe.generative.texts.text_diversity.distinct_n`; None where no text has so many words.
    self_bleu : float or None
        See :func:`~lexframe.generative.texts.text_diversity.self_bleu`; None for fewer than two texts. Higher is less diverse.
    """

    n_texts: int
    distinct_texts: float
    distinct_1: float | None
    distinct_2: float | None
    self_bleu: float | None

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {name: getattr(self, name) for name in ("n_texts", "distinct_texts", "distinct_1", "distinct_2", "self_bleu")}


@dataclass(frozen=True, slots=True)
class SampleDiversity(Result):
    """Samples and as many real texts.

    Attributes
    ----------
    samples, real : Diversity
    provenance : Provenance
    """

    samples: Diversity
    real: Diversity
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """Different texts and self-BLEU of both sides."""
        said = [
            f"{found.distinct_texts:.0%} of {found.n_texts:,} {name} are different"
            + ("" if found.self_bleu is None else f" (self-BLEU {found.self_bleu:.2f})")
            for name, found in (("samples", self.samples), ("real texts", self.real))
        ]
        return f"{said[0]}; {said[1]}."

    def to_dict(self) -> dict[str, Any]:
        """Both, for JSON."""
        return {"samples": self.samples.to_dict(), "real": self.real.to_dict(), "provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row for the samples and one for the real texts."""
        import pandas as pd

        return pd.DataFrame([{"texts": name} | getattr(self, name).to_dict() for name in ("samples", "real")])


def diversity(texts: Texts) -> Diversity:
    """How different some texts are from each other.

    Parameters
    ----------
    texts : sequence of str

    Raises
    ------
    InputError
        If there is none, or one is no string.
    """
    texts = checked_texts(texts)
    return Diversity(
        n_texts=len(texts),
        distinct_texts=len({normalized(text) for text in texts}) / len(texts),
        distinct_1=_distinct(texts, 1),
        distinct_2=_distinct(texts, 2),
        self_bleu=self_bleu(texts) if len(texts) > 1 else None,
    )


def compare_diversity(samples: Texts, real: Texts) -> SampleDiversity:
    """Diversity of samples beside that of real texts, as many of both: the first of the longer list.

    Parameters
    ----------
    samples, real : sequence of str

    Raises
    ------
    InputError
        If there is none on one side, or one is no string.
    """
    samples = checked_texts(samples, what="samples")
    real = checked_texts(real, what="real")
    n = min(len(samples), len(real))
    return SampleDiversity(diversity(samples[:n]), diversity(real[:n]), Provenance(parameters={"n_texts": n}))


def _distinct(texts: Sequence[str], n: int) -> float | None:
    try:
        return distinct_n(texts, n)
    except DataError:  # a model that writes nothing has no n-gram, and is still to be reported
        return None
