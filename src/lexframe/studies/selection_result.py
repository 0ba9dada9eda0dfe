"""What a study of selection found: every measure of own and other topics, and how far the prompts are ahead of every control."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lexframe.checks import plain
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import pandas

MEASURES = ("words", "words not in the prompt", "subspace")


@dataclass(frozen=True, slots=True)
class SelectionScore:
    """One measure under one condition, over the held-out prompts.

    Attributes
    ----------
    condition : str
        ``"prompt"``, ``"shuffled"`` for its words in random order, and both again for every control model, after its name.
    measure : {"words", "words not in the prompt", "subspace"}
        The first two are changes of the log probability of a topic's words, in nats, against the neutral continuation alone; the last is
        the share of the state's squared length inside a topic's subspace.
    own, other : Estimate
        For the prompt's own topic, and averaged over the other topics.
    selection : Estimate
        Own less other, a prompt at a time: above 0 the prompt selects its topic.
    """

    condition: str
    measure: str
    own: Estimate
    other: Estimate
    selection: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain types, for JSON."""
        found = {name: getattr(self, name).to_dict() for name in ("own", "other", "selection")}
        return {"condition": self.condition, "measure": self.measure} | found


@dataclass(frozen=True, slots=True)
class SelectionStudy(Result):
    """What prompts select, beside what their controls select.

    Attributes
    ----------
    topics : tuple of str
    n_prompts : int
    layer, n_axes : int
        Of the subspaces.
    words : dict of str to tuple of str
        Of each topic.
    scores : tuple of SelectionScore
    margins : dict of str to dict of str to Estimate
        By measure and control: selection of the prompts less that of the control, paired by prompt. Above 0 the control does not
        explain it.
    provenance : Provenance
    """

    topics: tuple[str, ...]
    n_prompts: int
    layer: int
    n_axes: int
    words: dict[str, tuple[str, ...]]
    scores: tuple[SelectionScore, ...]
    margins: dict[str, dict[str, Estimate]]
    provenance: Provenance = field(default_factory=Provenance)

    def score(self, condition: str, measure: str) -> SelectionScore:
        """One of the scores.

        Raises
        ------
        KeyError
            If there is none of that condition and measure.
        """
        return {(each.condition, each.measure): each for each in self.scores}[condition, measure]

    def summary(self) -> str:
        """Measure by measure, whether prompts select their topic, and whether a control explains it."""
        said = []
        for measure in MEASURES:
            found = self.score("prompt", measure).selection
            explained = [name for name, margin in self.margins[measure].items() if margin.low <= 0]
            verdict = (
                "no selection" if found.low <= 0 else f"no more than {', '.join(explained)}" if explained else "more than every control"
            )
            said.append(f"{measure} {found} ({verdict})")
        return f"Of {self.n_prompts:,} prompts on {len(self.topics)} topics, selection by " + "; ".join(said) + "."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        found = {name: plain(getattr(self, name)) for name in ("topics", "n_prompts", "layer", "n_axes", "words")}
        margins = {measure: {name: each.to_dict() for name, each in row.items()} for measure, row in self.margins.items()}
        scores = [score.to_dict() for score in self.scores]
        return found | {"scores": scores, "margins": margins, "provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a condition and measure, with the intervals of the selection."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "condition": score.condition,
                    "measure": score.measure,
                    "own": score.own.value,
                    "other": score.other.value,
                    "selection": score.selection.value,
                    "low": score.selection.low,
                    "high": score.selection.high,
                }
                for score in self.scores
            ]
        )
