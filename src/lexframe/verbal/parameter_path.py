"""The path of parameters over training: texts are points of a sentence encoder's space too."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.audit import map_points
from lexframe.exceptions import InputError
from lexframe.linalg import unit_rows
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Space
from lexframe.text_forms import counted
from lexframe.typing import ModelName
from lexframe.verbal.run import VerbalRun


@dataclass(frozen=True, slots=True, eq=False)
class ParameterPath(Result):
    """Where the texts of a run lie.

    Attributes
    ----------
    texts : tuple of str
        Those of the beginning, then every text that was proposed, in order.
    steps : tuple of int
        Of each text; 0 for the first.
    outcomes : tuple of str
        ``first``, ``accepted``, ``refused`` or ``not judged``.
    points : ndarray of shape (n_texts, n_dims)
        Of unit length.
    plane : ndarray of shape (n_texts, 2)
        The two main axes of the points.
    share : float
        Of the points' variance that the plane shows.
    kept : tuple of int
        Places of the texts that the first chain went on with, in order: its path.
    provenance : Provenance
    """

    texts: tuple[str, ...]
    steps: tuple[int, ...]
    outcomes: tuple[str, ...]
    points: Float[np.ndarray, "n d"]
    plane: Float[np.ndarray, "n 2"]
    share: float
    kept: tuple[int, ...]
    provenance: Provenance

    @property
    def step_lengths(self) -> Float[np.ndarray, " m"]:
        """Cosine distance of each text of the path to the one before it."""
        path = self.points[list(self.kept)]
        return 1 - (path[1:] * path[:-1]).sum(axis=1)

    @property
    def displacement(self) -> float:
        """Cosine distance of the last text of the path to the first."""
        return float(1 - self.points[self.kept[0]] @ self.points[self.kept[-1]])

    def summary(self) -> str:
        """How far the parameters went, and how far apart refused proposals lie from them."""
        moved = counted(len(self.kept) - 1, "step")
        text = f"The parameters went {self.displacement:.2f} from where they began (cosine distance) in {moved} that changed them"
        refused = [place for place, outcome in enumerate(self.outcomes) if outcome == "refused"]
        if refused:
            last = self.points[self.kept[-1]]
            text += f"; refused proposals lie {float((1 - self.points[refused] @ last).mean()):.2f} from the end on average"
        return f"{text}. The plane of the chart shows {self.share:.0%} of how the texts differ."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, without the points."""
        return {
            "texts": list(self.texts),
            "steps": list(self.steps),
            "outcomes": list(self.outcomes),
            "plane": self.plane.tolist(),
            "share": self.share,
            "kept": list(self.kept),
            "step_lengths": self.step_lengths.tolist(),
            "displacement": self.displacement,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> Any:
        """One row a text."""
        import pandas as pd

        return pd.DataFrame(
            {"step": self.steps, "outcome": self.outcomes, "x": self.plane[:, 0], "y": self.plane[:, 1], "text": self.texts}
        )

    def chart(self) -> Any:
        """The path in its plane: an Altair chart."""
        from lexframe.verbal.reading_charts import path_chart

        return path_chart(self)


def follow_parameters(run: VerbalRun, space: Space | ModelName) -> ParameterPath:
    """Where the texts of a run lie in a space.

    Parameters
    ----------
    run : VerbalRun
    space : Space or str
        A sentence encoder says best how texts differ in what they mean.

    Raises
    ------
    InputError
        If no text was proposed: a path needs two points.
    """
    space = Space.of(space)
    proposed = [step for step in run.steps if step.proposed is not None]
    if not proposed:
        raise InputError("No text was proposed in this run, so its parameters have no path.")
    texts = [run.first[0].text, *(step.proposed.text for step in proposed if step.proposed is not None)]
    points = unit_rows(space.encode(texts))
    kept = [0]
    for place, step in enumerate(proposed, 1):
        if step.chain == 0 and step.accepted and texts[place] != texts[kept[-1]]:
            kept.append(place)
    plane = map_points(points.astype(np.float32), method="pca").coordinates
    total = float(np.square(points - points.mean(axis=0)).sum())
    share = float(np.square(plane).sum()) / total if total > 0 else 1.0
    return ParameterPath(
        tuple(texts), (0, *(step.number for step in proposed)), ("first", *(step.outcome for step in proposed)), points, plane, share,
        tuple(kept), Provenance(space=space.fingerprint, seed=run.settings.seed),
    )  # fmt: skip
