"""Steering: states moved along a direction while a model reads and writes, and how far its answers move.

An effect metric is any callable ``metric(space, prompts)`` with a score for every prompt, higher for the positive pole; it is
called on the space as it is and within :func:`steered`, and the effect is the difference.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float

from lexframe.checks import checked_texts, plain
from lexframe.exceptions import InputError
from lexframe.instruments.directions.direction import Direction
from lexframe.instruments.directions.side_effects import SideEffectBudget, continuation_log_loss, distinct_share, head_space
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.spaces.base import Intervention, Progress, Representation, SteerableSpace
from lexframe.spaces.base.prompts import as_read
from lexframe.text_forms import counted
from lexframe.typing import ModelName, Texts
from lexframe.verdicts import Verdict, Worth

if TYPE_CHECKING:
    import pandas

Scores = Float[np.ndarray, " n_prompts"]


@contextmanager
def steered(
    space: SteerableSpace, direction: Direction, *, layer: int, strength: float, where: str = "all", keep_norm: bool = False
) -> Iterator[None]:
    """Within this context the space reads and writes with its states moved along the direction; nothing of it stays.

    Contexts can be nested, to move several layers or along several directions.

    Parameters
    ----------
    space : SteerableSpace
        Of the model that the direction was found on, with any layer, pooling and template.
    direction : Direction
    layer : int
        One that the direction has: 0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    strength : float
        Factor on the vector. Directions as they are found are as long as a typical state, so 0.2 moves by a fifth of that; 0
        changes nothing, a negative number moves towards the negative pole.
    where : {"all", "last"}
        Every token, or the last of each text and every new one.
    keep_norm : bool
        Give moved states their length back.

    Raises
    ------
    FingerprintMismatch
        If the direction is of another model.
    InputError
        If it has no vector for the layer.
    """
    if not isinstance(space, SteerableSpace):  # a name opened here would be another model than the one that is used inside
        raise InputError("Steering changes the model that is used inside: open it once, space = open_space('embedded'), and give that.")
    direction.require(space.fingerprint)
    vector = direction.vector(layer)
    with space.intervened([Intervention(layer=layer, vector=vector, strength=strength, where=where, keep_norm=keep_norm)]):
        yield


EffectMetric = Callable[[SteerableSpace, Sequence[str]], Scores]
"""Scores prompts, higher for the positive pole."""


def metric_name(metric: EffectMetric) -> str:
    """What a metric measures, with its unit where it says so: a `description`, or the name of the function."""
    described = getattr(metric, "description", None)
    return described if isinstance(described, str) else getattr(metric, "__name__", type(metric).__name__)


@dataclass(frozen=True, slots=True)
class LabelWordOdds:
    """Log-odds of the poles' words as the next token after each prompt.

    Attributes
    ----------
    positive, negative : tuple of str
        Words of each pole; the first token of each counts.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]

    @property
    def description(self) -> str:
        """What it measures, and its unit."""
        return f"log-odds of {_listed(self.positive)} over {_listed(self.negative)} as the next token (nats)"

    def __call__(self, space: SteerableSpace, prompts: Sequence[str], /) -> Scores:
        """Log of the summed probability of the positive words over that of the negative ones."""
        head = head_space(space)
        ids = [sorted({head.word_ids(word)[0] for word in words}) for words in (self.positive, self.negative)]
        if not ids[0] or not ids[1] or set(ids[0]) & set(ids[1]):
            raise InputError(
                f"The words {', '.join(self.positive)} and {', '.join(self.negative)} share their first token, or a pole has none. "
                "Give words of both poles that begin differently in this vocabulary."
            )
        states = head.encode_representations(as_read(space, prompts), [Representation(-1, "last")])[:, 0]
        logits = head.lens.logits(head.lens.input(states, layer=-1)).astype(np.float64)
        high, low = (np.logaddexp.reduce(logits[:, chosen], axis=1) for chosen in ids)
        return high - low


@dataclass(frozen=True, slots=True)
class TargetTexts:
    """Log-probability per token of a positive text after each prompt, less that of a negative one.

    Attributes
    ----------
    positive, negative : tuple of str
        Texts of each pole that the direction was not found on. Prompt i is followed by text i of both, from the start again
        where they end.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]

    @property
    def description(self) -> str:
        """What it measures, and its unit."""
        return "log-probability of held-out positive texts over that of negative ones (nats a token)"

    def __call__(self, space: SteerableSpace, prompts: Sequence[str], /) -> Scores:
        """Difference in nats per token."""
        if not self.positive or not self.negative:
            raise InputError("TargetTexts needs texts of both poles, one each or more.")
        losses = []
        for texts in (self.positive, self.negative):
            following = [f" {texts[number % len(texts)].strip()}" for number in range(len(prompts))]
            losses.append(continuation_log_loss(space, prompts, following))
        return losses[1] - losses[0]


@dataclass(frozen=True, slots=True)
class GeneratedTextMetric:
    """What a function of your own says of the texts that the model writes.

    Attributes
    ----------
    score : callable
        Takes a list of texts, without their prompts, and gives a number for each, higher for the positive pole.
    max_new_tokens : int
        Length of the texts.
    temperature : float
        0 takes the likeliest token each time.
    seed : int
        Of the draws; the same with and without steering.
    """

    score: Callable[[list[str]], Sequence[float]]
    max_new_tokens: int = 24
    temperature: float = 0.8
    seed: int = 0

    @property
    def description(self) -> str:
        """What it measures: the name of the function."""
        return f"{getattr(self.score, '__name__', type(self.score).__name__)} of the texts written"

    def __call__(self, space: SteerableSpace, prompts: Sequence[str], /) -> Scores:
        """Scores of what is written after each prompt."""
        texts = space.generate(prompts, max_new_tokens=self.max_new_tokens, temperature=self.temperature, seed=self.seed)
        found = np.asarray(self.score(texts), dtype=np.float64)
        if found.shape != (len(texts),) or not np.isfinite(found).all():
            raise InputError(
                f"The score gave {found.shape} values for {len(texts)} texts, or some that are not finite; expected one number a text."
            )
        return found


@dataclass(frozen=True, slots=True)
class SteeredTexts(Result, WithPage):
    """What a model writes with and without steering.

    Attributes
    ----------
    prompts, unsteered, steered : tuple of str
        Texts without their prompts.
    layer : int
        Where states were moved.
    strength : float
        How far.
    unsteered_perplexity, steered_perplexity : ndarray of shape (n_prompts,)
        Of the texts under the model that is *not* steered, given their prompts: what fluency steering costs. Not a number where
        nothing was written.
    unsteered_distinct, steered_distinct : float
        Share of different pairs of neighbouring words; repetition lowers it.
    provenance : Provenance
    """

    page: ClassVar[str] = "lexframe.instruments.directions.page:steering_report"

    prompts: tuple[str, ...]
    unsteered: tuple[str, ...]
    steered: tuple[str, ...]
    layer: int
    strength: float
    unsteered_perplexity: Float[np.ndarray, " n_prompts"]
    steered_perplexity: Float[np.ndarray, " n_prompts"]
    unsteered_distinct: float
    steered_distinct: float
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def changed(self) -> int:
        """Texts that steering changed."""
        return sum(before != after for before, after in zip(self.unsteered, self.steered, strict=True))

    def verdict(self, budget: SideEffectBudget | None = None) -> Verdict:
        """Whether what was written is still language, and was changed at all.

        Parameters
        ----------
        budget : SideEffectBudget, optional
            Its limits of fluency and repetition count, as in :func:`choose_steering`. Default: that of ``SideEffectBudget()``.

        Returns
        -------
        Verdict
            ``worthless`` where no text changed, nothing was written, or a limit is broken. What is fluent is ``unsure``: only
            :func:`choose_steering` says whether it moves towards the pole.
        """
        budget = budget or SideEffectBudget()
        before, after = (_mean_loss(values) for values in (self.unsteered_perplexity, self.steered_perplexity))
        if not self.changed:
            return Verdict(Worth.WORTHLESS, f"Steering changes none of {counted(len(self.prompts), 'text')}.")
        if not np.isfinite(after):
            return Verdict(Worth.WORTHLESS, "With steering the model writes nothing.")
        fluency = float(np.exp(after - before))
        distinct = self.steered_distinct / max(self.unsteered_distinct, np.finfo(float).tiny)
        broken = budget.exceeded_by(fluency_ratio=fluency, distinct_ratio=distinct)
        figures = (
            f"perplexity under the unsteered model is {np.exp(after):,.0f}, {fluency:.1f} times that without steering, "
            f"and {self.steered_distinct:.0%} of the word pairs are different ({self.unsteered_distinct:.0%} without)"
        )
        if broken:
            return Verdict(Worth.WORTHLESS, f"The text breaks: {figures}. Steer less strongly, or at another layer.")
        return Verdict(Worth.UNSURE, f"The text stays fluent: {figures}.")

    def summary(self) -> str:
        """How many texts steering changed, what it costs in perplexity, and whether the text breaks."""
        verdict = self.verdict()
        return f"{self._found()} {verdict}" if verdict.worth is Worth.WORTHLESS else self._found()

    def _found(self) -> str:
        said = (
            f"Steered at layer {self.layer} with strength {self.strength:g}: {self.changed} of {counted(len(self.prompts), 'text')} changed"
        )
        found = (self.unsteered_perplexity, self.steered_perplexity)
        if all(np.isfinite(values).any() for values in found):
            before, after = (float(np.nanmedian(values)) for values in found)
            said += f"; median perplexity under the unsteered model {after:.1f}, without steering {before:.1f}"
        return f"{said}."

    def to_frame(self) -> "pandas.DataFrame":
        """A row a prompt."""
        import pandas as pd

        return pd.DataFrame(self.to_dict()["texts"])

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        texts = [
            {
                "prompt": prompt,
                "unsteered": before,
                "steered": after,
                "unsteered_perplexity": plain(float(self.unsteered_perplexity[row])),
                "steered_perplexity": plain(float(self.steered_perplexity[row])),
            }
            for row, (prompt, before, after) in enumerate(zip(self.prompts, self.unsteered, self.steered, strict=True))
        ]
        return {
            "layer": self.layer,
            "strength": self.strength,
            "texts": texts,
            "unsteered_distinct": self.unsteered_distinct,
            "steered_distinct": self.steered_distinct,
            "verdict": self.verdict().to_dict(),
            "provenance": self.provenance.to_dict(),
        }


def _mean_loss(perplexities: Float[np.ndarray, " n_prompts"]) -> float:
    """Mean nats a token over the texts in which something was written; not a number without any."""
    written = perplexities[np.isfinite(perplexities)]
    return float(np.log(written).mean()) if len(written) else float("nan")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words))


def steer(
    space: SteerableSpace | ModelName,
    direction: Direction,
    prompts: Texts,
    *,
    layer: int,
    strength: float,
    max_new_tokens: int = 40,
    temperature: float = 0.0,
    seed: int = 0,
    progress: Progress = iter,
) -> SteeredTexts:
    """Write on from prompts with and without steering, from the same draws.

    Parameters
    ----------
    space : SteerableSpace or str
        Its template stands around the prompts: opened with ``chat=True``, it is the answers that are steered.
    direction : Direction
    prompts : sequence of str
    layer, strength
        See :func:`steered`.
    max_new_tokens, temperature, seed, progress
        See :meth:`lexframe.spaces.base.SteerableSpace.generate`.

    Returns
    -------
    SteeredTexts
    """
    space = SteerableSpace.of(space)
    prompts = checked_texts(prompts, what="prompts")
    settings: dict[str, Any] = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed, "progress": progress}
    unsteered = space.generate(prompts, **settings)
    with steered(space, direction, layer=layer, strength=strength):
        moved = space.generate(prompts, **settings)
    before, after = (np.exp(continuation_log_loss(space, prompts, texts)) for texts in (unsteered, moved))
    parameters = {"direction": direction.to_dict(), "max_new_tokens": max_new_tokens, "temperature": temperature}
    return SteeredTexts(
        prompts=tuple(prompts),
        unsteered=tuple(unsteered),
        steered=tuple(moved),
        layer=layer,
        strength=strength,
        unsteered_perplexity=before,
        steered_perplexity=after,
        unsteered_distinct=distinct_share(unsteered),
        steered_distinct=distinct_share(moved),
        provenance=Provenance(space=space.fingerprint, seed=seed, parameters=parameters),
    )
