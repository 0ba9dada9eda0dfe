"""What a judge says of every generated text, by contender, and how fluent and varied the texts are."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lexframe.intervals import Estimate, mean_over_seeds, t_interval


@dataclass
class Outcomes:
    """What the judge says of every text, by contender: rows are draws, columns prompts."""

    probability: dict[str, list[np.ndarray]] = field(default_factory=dict)
    loss: dict[str, list[np.ndarray]] = field(default_factory=dict)
    distinct: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, list[str]] = field(default_factory=dict)

    def add(self, cell: dict[str, Any]) -> None:
        for name, found in cell.items():
            self.probability.setdefault(name, []).append(np.array(found["probability"]))
            self.loss.setdefault(name, []).append(np.array(found["loss"], dtype=float))
            self.distinct.setdefault(name, []).append(found["distinct"])
            self.settings.setdefault(name, []).append(found["setting"])

    def gain(self, name: str, base: str) -> Estimate:
        """Mean difference in probability, paired over prompts; the interval is over draws and prompts, of one draw over prompts."""
        difference = self.table(name) - self.table(base)
        return (
            t_interval(difference[0], unit="prompts") if len(difference) == 1 else mean_over_seeds(difference, units=("draws", "prompts"))
        )

    def table(self, name: str) -> np.ndarray:
        return np.stack(self.probability[name]).astype(np.float64)

    def perplexity_ratio(self, name: str) -> Estimate:
        """Over draws."""
        losses = [float(np.nanmean(one) - np.nanmean(base)) for one, base in zip(self.loss[name], self.loss["unsteered"], strict=True)]
        return t_interval(losses, unit="draws").mapped(np.exp)
