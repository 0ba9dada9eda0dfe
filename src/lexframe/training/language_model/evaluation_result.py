"""How good a causal language model is, as it is told: bits per byte, minimal pairs, samples."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lexframe.checks import plain
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.text_forms import counted

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class BitsPerByte(Result):
    """Bits that the model needs for a byte of text; lower is better, and comparable between tokenizers.

    Attributes
    ----------
    bits_per_byte : Estimate
        Minus the log-probability of all documents in bits, over their length in UTF-8 bytes; its interval is over documents, and a
        single one has none.
    n_bytes, n_tokens, n_documents : int
        What was scored.
    context, stride : int
        Of the windows, in tokens.
    provenance : Provenance
    """

    bits_per_byte: Estimate
    n_bytes: int
    n_tokens: int
    n_documents: int
    context: int
    stride: int
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """The bits in a sentence."""
        return f"{self.bits_per_byte} bits per byte over {counted(self.n_documents, 'document')} of {self.n_bytes:,} bytes."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, flat, for JSON."""
        return self._figures() | {"provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """One row: the figure, its interval and what was scored."""
        import pandas as pd

        return pd.DataFrame([self._figures()])

    def _figures(self) -> dict[str, Any]:
        found = {"bits_per_byte": plain(self.bits_per_byte.value), "bits_per_byte_interval": plain(self.bits_per_byte.interval)}
        return found | {name: getattr(self, name) for name in ("n_bytes", "n_tokens", "n_documents", "context", "stride")}


@dataclass(frozen=True, slots=True)
class MinimalPairs(Result):
    """How often the model finds the grammatical sentence of a pair more probable; chance is 0.5.

    Attributes
    ----------
    accuracy : Estimate
        Mean over paradigms, each of which counts the same; its interval is over paradigms, and a single one has none.
    by_phenomenon : dict of str to float
        Mean over the paradigms of each phenomenon.
    by_paradigm : dict of str to float
        Share of pairs, ties counted half.
    n_pairs, n_ties : int
        All pairs, and those whose two sentences have exactly the same score.
    provenance : Provenance
    """

    accuracy: Estimate
    by_phenomenon: dict[str, float]
    by_paradigm: dict[str, float]
    n_pairs: int
    n_ties: int
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """The accuracy in a sentence, and whether it is above chance."""
        text = f"{self.accuracy} of {self.n_pairs:,} minimal pairs right, mean over {len(self.by_paradigm)} paradigms; chance is 0.5."
        ends = self.accuracy.interval
        return text if ends is None or ends[0] > 0.5 else f"{text} That is no better than guessing."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "accuracy": plain(self.accuracy.value),
            "interval": plain(self.accuracy.interval),
            "by_phenomenon": self.by_phenomenon,
            "by_paradigm": self.by_paradigm,
            "n_pairs": self.n_pairs,
            "n_ties": self.n_ties,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a paradigm."""
        import pandas as pd

        return pd.DataFrame({"paradigm": list(self.by_paradigm), "accuracy": list(self.by_paradigm.values())})


@dataclass(frozen=True, slots=True)
class LanguageModelEvaluation(Result):
    """What was measured of one model; what was not asked for is None.

    Attributes
    ----------
    model : str
        Name, for people.
    n_parameters : int
        Shared weights counted once.
    bits_per_byte : BitsPerByte or None
        On held-out text.
    blimp : MinimalPairs or None
        On minimal pairs.
    samples : tuple of dict or None
        Prompts and their continuations.
    provenance : Provenance
        Versions, seed and parameters.
    """

    model: str
    n_parameters: int
    bits_per_byte: BitsPerByte | None
    blimp: MinimalPairs | None
    samples: tuple[dict[str, str], ...] | None
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """The figures in a sentence each."""
        parts = [f"{self.model}, {self.n_parameters:,} parameters.", *(part.summary() for part in (self.bits_per_byte, self.blimp) if part)]
        return " ".join([*parts, f"{len(self.samples)} samples to read."] if self.samples else parts)

    def to_frame(self) -> "pandas.DataFrame":
        """A row a figure: bits per byte, minimal pairs in all and by phenomenon."""
        import pandas as pd

        found: dict[str, Estimate] = {}
        if self.bits_per_byte is not None:
            found["bits per byte"] = self.bits_per_byte.bits_per_byte
        if self.blimp is not None:
            found["minimal pairs"] = self.blimp.accuracy
        rows: list[dict[str, Any]] = [
            {"measure": name, "value": each.value, "low": each.low, "high": each.high} for name, each in found.items()
        ]
        by_phenomenon = {} if self.blimp is None else self.blimp.by_phenomenon
        rows += [{"measure": f"minimal pairs, {name}", "value": value} for name, value in by_phenomenon.items()]
        return pd.DataFrame(rows, columns=["measure", "value", "low", "high"])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, flat: one key a figure, its interval beside it."""
        text, pairs = self.bits_per_byte, self.blimp
        return {
            "model": self.model,
            "n_parameters": self.n_parameters,
            "bits_per_byte": plain(text.bits_per_byte.value) if text else None,
            "bits_per_byte_interval": plain(text.bits_per_byte.interval) if text else None,
            "n_bytes": text.n_bytes if text else None,
            "n_tokens": text.n_tokens if text else None,
            "n_documents": text.n_documents if text else None,
            "context": text.context if text else None,
            "stride": text.stride if text else None,
            "blimp": plain(pairs.accuracy.value) if pairs else None,
            "blimp_interval": plain(pairs.accuracy.interval) if pairs else None,
            "blimp_by_phenomenon": pairs.by_phenomenon if pairs else None,
            "blimp_by_paradigm": pairs.by_paradigm if pairs else None,
            "n_pairs": pairs.n_pairs if pairs else None,
            "n_ties": pairs.n_ties if pairs else None,
            "samples": list(self.samples) if self.samples is not None else None,
            "provenance": self.provenance.to_dict(),
        }
