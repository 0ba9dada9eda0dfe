"""A world in which optimizers of text are compared call by call: a scripted model that follows a line, and one that improves it badly."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common import peer
from lexframe.verbal import Request, Sample, ScriptedClient

NUMBER = r"-?\d+\.?\d*(?:[eE][-+]?\d+)?"
LINE = re.compile(rf"intercept ({NUMBER}) and slope ({NUMBER})")
FIRST = "A line with intercept 0 and slope 0."


@dataclass
class World:
    """The scripted model: it predicts with the line that a text names, and proposes least squares of what it sees, off by some noise.

    One proposal in four is nonsense. Every prediction of a row and every proposal is a call.

    Attributes
    ----------
    seed : int
    calls : int
        So far.
    """

    seed: int
    calls: int = 0
    generator: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng([self.seed, 7])

    def predict(self, text: str, x: float) -> float:
        self.calls += 1
        found = LINE.search(text)
        return float(found[1]) + float(found[2]) * x if found else 0.0

    def propose(self, x: np.ndarray, y: np.ndarray) -> str:
        self.calls += 1
        if self.generator.random() < 0.25:
            intercept, slope = self.generator.normal(scale=10, size=2)
        else:
            table = np.column_stack([np.ones(len(x)), x])
            intercept, slope = np.linalg.lstsq(table, y, rcond=None)[0] + self.generator.normal(scale=0.3, size=2)
        return f"A line with intercept {intercept:.4f} and slope {slope:.4f}."


def loss_of(text: str, sample: Sample) -> float:
    """Mean squared error of the line that a text names."""
    found = LINE.search(text)
    intercept, slope = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    return float(np.mean((intercept + slope * sample.rows.columns["x"] - sample.targets) ** 2))


def as_client(world: World) -> ScriptedClient:
    """The world as a client of lexframe."""

    def script(request: Request) -> str:
        prompt = request.messages[-1].content
        if request.purpose == "predict":
            return f"Output: {world.predict(prompt, float(re.findall(r'x = (' + NUMBER + ')', prompt)[-1]))!r}"
        if "## Target outputs" in prompt:  # the published optimizer's lists
            columns = [re.findall(rf"^\d+\. (?:x = )?({NUMBER})$", part, re.MULTILINE) for part in prompt.split("\n## ")[1:4]]
            x, y = columns[0], columns[2]
        else:
            rows = re.findall(rf"^\d+\. x = ({NUMBER}) .*target ({NUMBER})", prompt, re.MULTILINE)
            x, y = [row[0] for row in rows], [row[1] for row in rows]
        text = world.propose(np.array(x, dtype=float), np.array(y, dtype=float))
        found = LINE.search(text)
        assert found is not None
        return f"Reasoning: least squares.\nNew Pattern Descriptions: {text}\nFormula: y = {found[1]} + {found[2]}*x"

    return ScriptedClient(script)


def gepa_text(world: World, learned: Sample, judges: Sample, calls: int, *, minibatch: int) -> str | None:
    """The text that GEPA ends with on the same rows, stopped at as many calls; None where it is not installed."""
    gepa = peer("gepa")
    if gepa is None:
        return None
    rows = [[(float(x), float(y)) for x, y in zip(part.rows.columns["x"], part.targets, strict=True)] for part in (learned, judges)]

    class Adapter:
        propose_new_texts = None

        def evaluate(self, batch: list[tuple[float, float]], candidate: dict[str, str], capture_traces: bool = False) -> Any:
            outputs = [world.predict(candidate["text"], x) for x, _ in batch]
            scores = [-((output - y) ** 2) for output, (_, y) in zip(outputs, batch, strict=True)]
            traces = list(zip(batch, outputs, strict=True)) if capture_traces else None
            return gepa.EvaluationBatch(outputs, scores, traces)

        def make_reflective_dataset(self, candidate: dict[str, str], found: Any, components: list[str]) -> dict[str, list[dict[str, str]]]:
            records = [
                {"Inputs": f"x = {x!r}", "Generated Outputs": f"{output!r}", "Feedback": f"target {y!r}"}
                for ((x, y), output) in found.trajectories
            ]
            return dict.fromkeys(components, records)

    def reflect(prompt: Any) -> str:
        text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        x, y = re.findall(rf"x = ({NUMBER})", text), re.findall(rf"target ({NUMBER})", text)
        return f"```\n{world.propose(np.array(x, dtype=float), np.array(y, dtype=float))}\n```"

    found = gepa.optimize(
        {"text": FIRST},
        trainset=rows[0],
        valset=rows[1],
        adapter=Adapter(),
        reflection_lm=reflect,
        reflection_minibatch_size=minibatch,
        skip_perfect_score=False,
        cache_evaluation=True,
        stop_callbacks=lambda state: world.calls >= calls,
        logger=_Quiet(),
        seed=world.seed,
    )
    return str(found.best_candidate["text"])


class _Quiet:
    def log(self, message: str) -> None:
        """Nothing."""
