"""What came of patching: each condition with its interval, over questions that neither a vector nor a layer was chosen on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.instruments.patching.answer_scores import AnswerScores
from lexframe.instruments.patching.task import Pair
from lexframe.intervals import Estimate, estimates, mean_over_items, share_over_items
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

ALL_TASKS = "all tasks"


@dataclass(frozen=True, slots=True)
class ConditionScore:
    """How the questions of one task, or of all, are answered in one condition; for intervals test pairs are drawn, each with all its
    prompts.

    Attributes
    ----------
    task, condition : str
    accuracy : Estimate
        Share of prompts whose likeliest next token, of the whole vocabulary, begins the answer.
    other_accuracy : Estimate or None
        Share answered as the other task would have it, where that task knows the input and answers otherwise; None where there is no
        other task or no such input.
    few_shot_share : Estimate or None
        The accuracy as a share of the few-shot accuracy; None where that is 0.
    probability : float
        Mean probability of the answer's first token.
    median_rank : float
        Tokens above it; 0 is best.
    n_prompts, n_pairs : int
        Prompts asked, and different pairs among them.
    """

    task: str
    condition: str
    accuracy: Estimate
    other_accuracy: Estimate | None
    few_shot_share: Estimate | None
    probability: float
    median_rank: float
    n_prompts: int
    n_pairs: int

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain types, for JSON."""
        found = {name: getattr(self, name) for name in ("task", "condition", "probability", "median_rank", "n_prompts", "n_pairs")}
        estimates_of = {name: getattr(self, name) for name in ("accuracy", "other_accuracy", "few_shot_share")}
        return plain(found) | {name: None if each is None else each.to_dict() for name, each in estimates_of.items()}


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """The layer that development pairs chose in one split of one task, and the accuracy of every layer there."""

    task: str
    split: int
    layer: int
    layers: tuple[int, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PatchResult(Result):
    """Vectors put into zero-shot questions, beside the controls.

    Attributes
    ----------
    title : str
        Of the chart.
    scores : tuple of ConditionScore
        Of every task and of all tasks together, condition by condition.
    choices : tuple of LayerChoice
        Which layers were chosen.
    words : mapping of str to tuple of (str, float)
        What the output head reads in the vector of each task, at the layer and split that came first; token and probability.
    provenance : Provenance
    """

    title: str
    scores: tuple[ConditionScore, ...]
    choices: tuple[LayerChoice, ...]
    words: dict[str, tuple[tuple[str, float], ...]]
    provenance: Provenance

    @property
    def conditions(self) -> tuple[str, ...]:
        """In the order they were tried."""
        return tuple(dict.fromkeys(score.condition for score in self.scores))

    def score(self, condition: str, task: str = ALL_TASKS) -> ConditionScore:
        """One condition of one task, or of all.

        Raises
        ------
        InputError
            If it was not tried.
        """
        for score in self.scores:
            if (score.condition, score.task) == (condition, task):
                return score
        raise InputError(f"There is no score of {condition!r} for {task!r}. Conditions are {', '.join(self.conditions)}.")

    def summary(self) -> str:
        """The best patched condition between zero-shot and few-shot."""
        task = self.scores[-1].task  # all tasks together stand last
        found = {condition: self.score(condition, task).accuracy for condition in self.conditions}
        few, zero = found.get("few-shot"), found.get("zero-shot")
        patched = {name: each for name, each in found.items() if name not in ("few-shot", "zero-shot")}
        if few is None or zero is None or not patched:
            return f"{self.title}: " + ", ".join(f"{name} {each}" for name, each in found.items()) + "."
        best = max(patched, key=lambda name: patched[name].value)
        text = (
            f"{self.title}: zero-shot {zero.value:.1%} right, few-shot {few.value:.1%}; best in between is {best!r} with {patched[best]}."
        )
        return text if patched[best].low > zero.high else f"{text} That is not reliably more than zero-shot."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "scores": [score.to_dict() for score in self.scores],
            "choices": [plain(asdict(choice)) for choice in self.choices],
            "words": {task: [{"token": token, "probability": share} for token, share in words] for task, words in self.words.items()},
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pd.DataFrame":
        """A row a task and condition."""
        import pandas as pd

        rows = []
        for score in self.scores:
            row: dict[str, Any] = {"task": score.task, "condition": score.condition}
            for name in ("accuracy", "other_accuracy", "few_shot_share"):
                found = getattr(score, name)
                row |= {name: found.value if found else np.nan, f"{name}_low": found.low if found else np.nan}
                row[f"{name}_high"] = found.high if found else np.nan
            rows.append(row | {name: getattr(score, name) for name in ("probability", "median_rank", "n_prompts", "n_pairs")})
        return pd.DataFrame(rows)

    def chart(self) -> "alt.LayerChart":
        """Accuracy of every condition with its interval, all tasks together."""
        from lexframe.instruments.patching.charts import patch_chart

        return patch_chart(self)


@dataclass(slots=True)
class PatchTally:
    """Collects answers while a study runs, and turns them into scores."""

    few_shot: str
    _answers: dict[tuple[str, str], list[tuple[Pair, np.ndarray]]] = field(default_factory=dict)

    def add(self, task: str, condition: str, pairs: Sequence[Pair], scores: AnswerScores) -> None:
        """Answers to the questions of test pairs; column 0 is the task's own answer, column 1 the other task's, if any."""
        for row, pair in enumerate(pairs):
            asked = scores.rank[row, -1] >= 0 and scores.rank.shape[1] > 1
            other = float(scores.right[row, 1]) if asked else np.nan
            values = np.array([float(scores.right[row, 0]), scores.probability[row, 0], float(scores.rank[row, 0]), other])
            self._answers.setdefault((task, condition), []).append((pair, values))

    def scores(self, *, seed: int) -> tuple[ConditionScore, ...]:
        """Of every task in every condition, and of all tasks together."""
        tasks = list(dict.fromkeys(task for task, _ in self._answers))
        conditions = list(dict.fromkeys(condition for _, condition in self._answers))
        found = []
        for name in [*tasks, ALL_TASKS] if len(tasks) > 1 else tasks:
            members = tasks if name == ALL_TASKS else [name]
            reference = self._by_pair(members, self.few_shot)
            for condition in conditions:
                if any((task, condition) in self._answers for task in members):
                    found.append(self._score(name, condition, members, reference, seed))
        return tuple(found)

    def _score(self, name: str, condition: str, members: Sequence[str], reference: dict[Any, np.ndarray], seed: int) -> ConditionScore:
        by_pair = self._by_pair(members, condition)
        values = np.stack(list(by_pair.values()))
        few = np.stack([reference[pair] for pair in by_pair])[:, 0]
        known = values[~np.isnan(values[:, 3]), 3]
        rows = [row for task in members for _, row in self._answers.get((task, condition), ())]
        return ConditionScore(
            task=name,
            condition=condition,
            accuracy=share_over_items(values[:, 0], seed=seed),
            other_accuracy=share_over_items(known, seed=seed) if len(known) else None,
            few_shot_share=_share(values[:, 0], few, seed) if few.any() else None,
            probability=float(values[:, 1].mean()),
            median_rank=float(np.median([row[2] for row in rows])),
            n_prompts=len(rows),
            n_pairs=len(values),
        )

    def _by_pair(self, members: Sequence[str], condition: str) -> dict[Any, np.ndarray]:
        """Means over the prompts of each pair: prompts of one pair are no independent evidence."""
        grouped: dict[Any, list[np.ndarray]] = {}
        for task in members:
            for pair, values in self._answers.get((task, condition), ()):
                grouped.setdefault((task, pair), []).append(values)
        return {key: np.mean(rows, axis=0) for key, rows in grouped.items()}


def _share(values: Float[np.ndarray, " n"], reference: Float[np.ndarray, " n"], seed: int) -> Estimate:
    """Mean over mean of the same pairs, so that what a pair is worth cancels; draws whose reference is 0 have no share."""
    if len(values) == 1:
        return mean_over_items(values / reference)
    table = np.stack([values, reference], axis=1)
    return estimates(
        table, lambda sums: np.divide(sums[:, :1], sums[:, 1:], out=np.full((len(sums), 1), np.nan), where=sums[:, 1:] > 0), seed=seed
    )[0]
