"""How well a language model predicts a domain's text, method by method, as it is told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lexframe.checks import plain
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import pandas

METHOD_DESCRIPTIONS = {
    "frozen": "the model as it is",
    "unigram": "logits shifted by what the domain's word counts say",
    "affine": "the last state moved by an affine map",
    "neural": "the last state moved by the paper's module",
    "knn-lm": "mixed with the tokens that followed the nearest states of the domain text",
    "lora": "low-rank updates of every layer, for as long as the best calibration took",
}


@dataclass(frozen=True, slots=True)
class NextTokenScore:
    """One method on the held-out text.

    Attributes
    ----------
    method : str
        Its name; LoRA that was given m times the time is ``lora-mx``.
    perplexity : Estimate
        Exponential of the mean loss in nats a token.
    bits_per_byte : Estimate
        Loss in bits over the UTF-8 bytes of the text; comparable between tokenizers.
    difference : Estimate
        Bits per byte minus those of the frozen model, paired over documents; below zero is better.
    fit_seconds : float
        Every choice included; on states that are there already, except for LoRA.
    score_seconds : float
        For the held-out text; for LoRA its own states are made anew.
    n_parameters : int
        Numbers learnt; for kNN-LM the numbers it stores.
    choices : dict
        What was chosen on the tail of the domain text, as plain types.
    """

    method: str
    perplexity: Estimate
    bits_per_byte: Estimate
    difference: Estimate
    fit_seconds: float
    score_seconds: float
    n_parameters: int
    choices: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; intervals as [low, high]."""
        return {
            "perplexity": plain(self.perplexity.value),
            "perplexity_interval": plain(self.perplexity.interval),
            "bits_per_byte": plain(self.bits_per_byte.value),
            "bits_per_byte_interval": plain(self.bits_per_byte.interval),
            "bits_per_byte_minus_frozen": plain(self.difference.value),
            "bits_per_byte_minus_frozen_interval": plain(self.difference.interval),
            "fit_seconds": round(self.fit_seconds, 3),
            "score_seconds": round(self.score_seconds, 3),
            "n_parameters": self.n_parameters,
            "choices": plain(self.choices),
        }


@dataclass(frozen=True, slots=True)
class NextTokenComparison(Result):
    """A language model in a domain, method by method, on the same held-out text.

    Attributes
    ----------
    methods : dict of str to NextTokenScore
        In the order asked for, the frozen model first.
    best_calibration : str or None
        The calibration with the smallest loss on the tail of the domain text; None where none was asked for.
    n_domain_tokens, n_held_out_tokens, n_held_out_bytes : int
        Tokens that were predicted, and the bytes of the held-out text.
    n_domain_documents, n_held_out_documents : int
        Empty ones left out.
    n_shared_documents : int
        Held-out documents that also stand in the domain text; they flatter every method but the frozen model.
    context, stride : int
        Of the windows, in tokens.
    unit : {"document", "window"}
        What the intervals draw anew; windows where the held-out text is a single document.
    encode_seconds : float
        To make the states of the domain text.
    provenance : Provenance
    """

    methods: dict[str, NextTokenScore]
    best_calibration: str | None
    n_domain_tokens: int
    n_held_out_tokens: int
    n_held_out_bytes: int
    n_domain_documents: int
    n_held_out_documents: int
    n_shared_documents: int
    context: int
    stride: int
    unit: str
    encode_seconds: float
    provenance: Provenance

    def summary(self) -> str:
        """The result in a sentence."""
        frozen = self.methods["frozen"].perplexity
        text = f"On {self.n_held_out_tokens:,} held-out tokens the frozen model has a perplexity of {frozen.value:.1f}"
        if self.best_calibration is None:
            return text + "."
        best = self.methods[self.best_calibration]
        seconds = self.encode_seconds + best.fit_seconds
        return (
            f"{text}; with {METHOD_DESCRIPTIONS[best.method]}, fitted on {self.n_domain_tokens:,} tokens in {seconds:.1f} s, it is "
            f"{best.perplexity.value:.1f} [{best.perplexity.low:.1f}, {best.perplexity.high:.1f}]."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "summary": self.summary(),
            "methods": {name: score.to_dict() for name, score in self.methods.items()},
            "best_calibration": self.best_calibration,
            "n_domain_tokens": self.n_domain_tokens,
            "n_held_out_tokens": self.n_held_out_tokens,
            "n_held_out_bytes": self.n_held_out_bytes,
            "n_domain_documents": self.n_domain_documents,
            "n_held_out_documents": self.n_held_out_documents,
            "n_shared_documents": self.n_shared_documents,
            "context": self.context,
            "stride": self.stride,
            "unit": self.unit,
            "encode_seconds": round(self.encode_seconds, 3),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """The comparison as a pandas table, a row a method."""
        import pandas as pd

        return pd.DataFrame.from_dict({name: score.to_dict() for name, score in self.methods.items()}, orient="index")
