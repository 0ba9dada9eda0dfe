"""A prediction on its way through the layers: where the model settles on a label, and how far the parameters move it.

The same rows are read twice, with the parameters in the prompt and with none. What differs is what the text does.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import rel_entr

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.instruments.traces.trace import settle_depth
from lexframe.intervals import mean_over_items
from lexframe.linalg import softmax
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import LensSpace, PromptSpace
from lexframe.spaces.registry import open_space
from lexframe.spaces.templates import Template
from lexframe.typing import ModelName
from lexframe.verbal.learner import LEAD
from lexframe.verbal.parameters import Parameters
from lexframe.verbal.prompts import learner_messages
from lexframe.verbal.rows import Rows
from lexframe.verbal.task import Task

READ_TOGETHER = 4
"""Prompts whose states are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictionTrace(Result):
    """What a model would answer at every layer, with the parameters and without.

    Attributes
    ----------
    labels : tuple of str
    layers : tuple of int
        0 is the embedding output, the last is after the final norm.
    with_parameters, without : ndarray of shape (n_rows, n_layers, n_labels)
        Probabilities of the labels' first tokens among themselves, by the logit lens.
    moved : ndarray of shape (n_rows, n_layers)
        Cosine distance of what the head reads with the parameters from what it reads without.
    provenance : Provenance
    """

    labels: tuple[str, ...]
    layers: tuple[int, ...]
    with_parameters: Float[np.ndarray, "n l k"]
    without: Float[np.ndarray, "n l k"]
    moved: Float[np.ndarray, "n l"]
    provenance: Provenance

    @property
    def settles_at(self) -> Int[np.ndarray, " n"]:
        """Layer from which on the likeliest label is the final one, by row."""
        return np.array(self.layers)[settle_depth(self.with_parameters.argmax(axis=2).T)]

    @property
    def divergence(self) -> Float[np.ndarray, "n l"]:
        """Jensen-Shannon divergence of the labels' probabilities with the parameters and without, in nats: at most .693."""
        middle = (self.with_parameters + self.without) / 2
        both = (rel_entr(part, middle).sum(axis=2) for part in (self.with_parameters, self.without))
        return np.maximum(sum(both) / 2, 0.0)

    @property
    def changed(self) -> Any:
        """Which rows get another label because of the parameters, at the last layer."""
        return self.with_parameters[:, -1].argmax(axis=1) != self.without[:, -1].argmax(axis=1)

    def summary(self) -> str:
        """Where it settles, and what the parameters change."""
        n, last = len(self.moved), self.divergence[:, -1]
        return (
            f"Over {n} rows the model settles on its label at layer {np.median(self.settles_at):g} of {self.layers[-1]} (median). The "
            f"parameters change the label of {int(self.changed.sum())} of them, and its probabilities by {mean_over_items(last)} nats "
            f"(Jensen-Shannon, at most 0.693)."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types."""
        names = ("with_parameters", "without", "moved", "settles_at", "divergence", "changed")
        found = {name: plain(getattr(self, name)) for name in names}
        return {"labels": list(self.labels), "layers": list(self.layers), **found, "provenance": self.provenance.to_dict()}

    def to_frame(self) -> Any:
        """One row a row and layer."""
        import pandas as pd

        n = len(self.with_parameters)
        rows, layers = np.meshgrid(np.arange(n), self.layers, indexing="ij")
        likeliest = self.with_parameters.argmax(axis=2)
        return pd.DataFrame(
            {
                "row": rows.ravel(),
                "layer": layers.ravel(),
                "label": [self.labels[place] for place in likeliest.ravel()],
                "probability": self.with_parameters.max(axis=2).ravel(),
                "divergence": self.divergence.ravel(),
                "moved": self.moved.ravel(),
            }
        )

    def chart(self) -> Any:
        """Divergence and agreement with the final label along the layers: an Altair chart."""
        from lexframe.verbal.reading_charts import prediction_chart

        return prediction_chart(self)


def trace_predictions(space: PromptSpace | ModelName, task: Task, parameters: Parameters, rows: Rows) -> PredictionTrace:
    """Follow predictions through the layers, with the parameters and without.

    Parameters
    ----------
    space : PromptSpace and LensSpace, or str
        With its chat template, such as ``open_space("smollm2", chat=True)``, which is how a name is opened.
    task : Task
        A classification.
    parameters : Parameters
        What they say is read; what they would execute is read too, as text.
    rows : Rows

    Raises
    ------
    InputError
        If the task has no labels, two of them begin with the same token, or the space cannot be read so.
    """
    if task.is_regression:
        raise InputError("A regression has no labels that a layer could settle on. Trace a classification.")
    opened: Any = open_space(os.fspath(space), chat=True) if isinstance(space, str | os.PathLike) else space
    if not (isinstance(opened, PromptSpace) and isinstance(opened, LensSpace)):
        raise InputError(f"{type(opened).__name__} cannot be read at every layer. Use a language model in this process, such as smollm2.")
    reader: Any = opened.prompt_reader(Template(opened.template.before, f"{opened.template.after}{LEAD.rstrip()}"))
    first = [reader.word_ids(label)[0] for label in task.labels]
    if len(set(first)) < len(first):
        raise InputError("Two labels begin with the same token, so no layer can tell them apart by it. Rename one of them.")
    found = []
    for text in (parameters, Parameters("")):
        prompts = [learner_messages(task, text, rows.shown(row, task.digits))[-1].content for row in range(len(rows))]
        lengths = reader.prompt_lengths([reader.template.fill(prompt) for prompt in prompts])
        if lengths.max(initial=0) > reader.max_length:
            long, most = int(lengths.argmax()), int(lengths.max())
            raise InputError(f"The prompt of row {long + 1} has {most} tokens, and the model takes {reader.max_length}. Shorten the text.")
        found.append(_read(reader, prompts, first))
    (with_parameters, inputs), (without, plain_inputs) = found
    norms = np.linalg.norm(inputs, axis=2) * np.linalg.norm(plain_inputs, axis=2)
    moved = 1 - (inputs * plain_inputs).sum(axis=2) / np.maximum(norms, 1e-12)
    return PredictionTrace(
        task.labels, tuple(range(with_parameters.shape[1])), with_parameters, without, moved, Provenance(space=reader.fingerprint)
    )


def _read(reader: Any, prompts: list[str], first: list[int]) -> tuple[Float[np.ndarray, "n l k"], Float[np.ndarray, "n l d"]]:
    """Probabilities of the labels at the last token of every layer, and what the head reads there."""
    probabilities, inputs = [], []
    for start in range(0, len(prompts), READ_TOGETHER):
        for states in reader.token_states_of(prompts[start : start + READ_TOGETHER]):
            read = np.concatenate([reader.lens.input(state[-1:], layer=layer) for layer, state in enumerate(states.states)])
            probabilities.append(softmax(reader.lens.logits(read)[:, first].astype(np.float64)))
            inputs.append(read.astype(np.float64))
    return np.stack(probabilities), np.stack(inputs)
