"""The price of tuning on a task: harm to the bits per byte of ordinary text, at the same gain of the task's margin, by way of tuning.

Every way goes on in steps that first order promises a fifth of the gain from, until the tested pairs have gained it; the harm there is
read off the path by straight lines. Seeds draw the tasks, the pairs, and the text.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from common import SHARED, Control, Figure, Goal, Statement, judged
from lexframe.files import json_text, write_text
from lexframe.intervals import Estimate, t_interval
from lexframe.spaces import open_space
from lexframe.spaces.base.training import ScoredTokens, SequenceNetwork
from lexframe.task_space import Task
from lexframe.task_space.gradients import in_passes, log_probabilities, mean_gradient, trained_parameters
from lexframe.task_space.token_pairs import TokenPair, tokenized
from lexframe.task_space.tuning import ARMS, arm_masks, masked_norm, move, weights_kept
from lexframe.training.language_model.corpus import read_documents

GAIN, STEP, MOST_STEPS = 1.0, 0.2, 16
"""Nats of the tested margin to be gained, nats that a step promises, and steps at most."""
WAYS = {
    "FTGD, .1%": ("differential", 0.001),
    "FTGD, 1%": ("differential", 0.01),
    "FTGD, 5%": ("differential", 0.05),
    "FTGD, 10%": ("differential", 0.1),
    "differentials, all weights": ("full", 1.0),
    "one-sided, 1%": ("one-sided", 0.01),
    "random, 1%": ("random", 0.01),
    "full gradients": ("plain", 1.0),
}
PLAIN, MASK_ALONE = "full gradients", "one-sided, 1%"
PRECISION = {"embedded": "float32"}
"""Of products; a larger model runs as it is used, in bfloat16."""
SEEDS = (0, 1, 2, 3, 4)
TASKS_A_SEED, N_PAIRS = {"embedded": 4}, 24
"""Tasks that a seed draws, one of a larger model, and pairs of each half."""


@dataclass(frozen=True)
class TuningPath:
    """What a way of tuning did, step by step: gain of the tested margin, of the accuracy, change of the bits per byte, length."""

    gains: list[float]
    accuracies: list[float]
    bits: list[float]
    lengths: list[float]

    def harm_at(self, gain: float = GAIN) -> float:
        """Change of the bits per byte where the gain is reached; NaN where it never is."""
        reached = next((i for i, value in enumerate(self.gains) if value >= gain), None)
        if reached is None:
            return float("nan")
        before = (self.gains[reached - 1], self.bits[reached - 1]) if reached else (0.0, 0.0)
        share = (gain - before[0]) / (self.gains[reached] - before[0])
        return before[1] + share * (self.bits[reached] - before[1])


class Tuner:
    """A network, ordinary text, and the paths of tuning on tasks."""

    def __init__(self, model: str, texts: Sequence[str]):
        self.network: SequenceNetwork = open_space(model).sequence_network(precision=PRECISION.get(model, "bfloat16"))
        self.parameters = list(trained_parameters(self.network).values())
        length = min(128, self.network.max_length)
        tokens = self.network.tokens([""] * len(texts), texts)
        self.text = [ScoredTokens(each.ids[:length], tuple(p for p in each.scored if p < length)) for each in tokens]
        self.n_bytes = sum(len(bytes_of(self.network, each)) for each in self.text)

    def bits_per_byte(self) -> float:
        with torch.no_grad():
            nats = sum(float(-self.network.log_probabilities(self.text[row : row + 4]).sum()) for row in range(0, len(self.text), 4))
        return nats / np.log(2) / self.n_bytes

    def margins(self, pairs: Sequence[TokenPair]) -> np.ndarray:
        with torch.no_grad():
            parts = [log_probabilities(self.network, part) for part in in_passes(pairs)]
        return torch.cat([good - bad for good, bad in parts]).double().numpy()

    def path(self, learnt: Sequence[TokenPair], tested: Sequence[TokenPair], way: str, *, seed: int) -> TuningPath:
        arm, share = ARMS[WAYS[way][0]], WAYS[way][1]
        before, text = self.margins(tested), self.bits_per_byte()
        found = TuningPath([], [], [], [])
        masks = None
        with weights_kept(self.parameters):
            for _ in range(MOST_STEPS):
                differential = mean_gradient(self.network, self.parameters, learnt).parameters
                along = mean_gradient(self.network, self.parameters, learnt, one_sided=True).parameters if arm.one_sided else differential
                masks = masks or arm_masks(arm, along, share, seed=seed)
                norm = masked_norm(along, masks)
                rate = (
                    sum(float(torch.where(m, a, 0.0).double().mul_(d).sum()) for a, d, m in zip(along, differential, masks, strict=True))
                    / norm
                )
                length = STEP / max(rate, 0.1 * norm)  # one side alone may promise nothing for the margin, and moves on all the same
                move(self.parameters, along, masks, length)
                now = self.margins(tested)
                found.gains.append(float((now - before).mean()))
                found.accuracies.append(float((now > 0).mean() - (before > 0).mean()))
                found.bits.append(self.bits_per_byte() - text)
                found.lengths.append(length)
                if found.gains[-1] >= GAIN:
                    break
        return found


def bytes_of(network: SequenceNetwork, tokens: ScoredTokens) -> bytes:
    return str(network.tokenizer.decode([tokens.ids[place] for place in tokens.scored])).encode()


def ordinary_texts(seed: int, n: int = 16) -> list[str]:
    """Documents of the held-out part of the corpus."""
    documents = [text[:1_200] for text in read_documents(SHARED / "corpus" / "valid.txt.xz") if len(text) > 600]
    return [documents[row] for row in np.random.default_rng(seed).choice(len(documents), size=n, replace=False)]


def price_claims(model: str, tasks: Sequence[Task], out: Path, *, quick: bool = False) -> list[Statement]:
    """Paths of all ways on some tasks a seed, kept in `out`, and what they say."""
    ways = ["FTGD, 1%", "random, 1%", "full gradients"] if quick else list(WAYS)
    out.mkdir(parents=True, exist_ok=True)
    paths: dict[tuple[str, int], list[TuningPath]] = {}
    for seed in SEEDS[:1] if quick else SEEDS:
        rows = np.random.default_rng(seed).choice(len(tasks), size=1 if quick else TASKS_A_SEED.get(model, 1), replace=False)
        lacking = [(row, way) for row in rows for way in ways if not kept(out, seed, tasks[row], way).is_file()]
        tuner = Tuner(model, ordinary_texts(seed)) if lacking else None
        for row, way in lacking:
            assert tuner is not None
            pairs = tokenized(tuner.network, tasks[row]).pairs
            order = np.random.default_rng([seed, int(row)]).permutation(len(pairs))[: 2 * N_PAIRS]
            learnt, tested = ([pairs[i] for i in half] for half in np.array_split(order, 2))
            found = tuner.path(learnt, tested, way, seed=seed)
            reached = f"{found.gains[-1]:+.2f} nats, {found.bits[-1]:+.4f} bits, {len(found.gains)} steps"
            print(f"  seed {seed}, {tasks[row].name}, {way}: {reached}", flush=True)
            write_text(kept(out, seed, tasks[row], way), json_text(asdict(found)))
        for way in ways:
            documents = [json.loads(kept(out, seed, tasks[row], way).read_text(encoding="utf-8")) for row in rows]
            paths[way, seed] = [TuningPath(**document) for document in documents]
    return price_statements(Path(model).name, ways, paths)


def kept(out: Path, seed: int, task: Task, way: str) -> Path:
    return out / f"{seed}-{task.name}-{way.replace(' ', '-').replace('%', '')}.json"


def seeds_of(paths: dict[tuple[str, int], list[TuningPath]]) -> list[int]:
    return sorted({seed for _, seed in paths})


def less_harm(both: np.ndarray) -> Estimate:
    """How much less the first way harms, over the seeds in which both gained anything."""
    return t_interval([other - one for one, other in both if np.isfinite([one, other]).all()], unit="seeds")


def harms(paths: dict[tuple[str, int], list[TuningPath]], one: str, other: str) -> np.ndarray:
    """Harm of two ways where both have gained as much, mean over the tasks of a seed: shape (n_seeds, 2)."""
    found = []
    for seed in seeds_of(paths):
        rows = []
        for first, second in zip(paths[one, seed], paths[other, seed], strict=True):
            gain = min(GAIN, max(first.gains), max(second.gains))
            if gain > 0:
                rows.append((first.harm_at(gain), second.harm_at(gain)))
        found.append(np.mean(rows, axis=0) if rows else (np.nan, np.nan))
    return np.array(found)


def price_statements(model: str, ways: Sequence[str], paths: dict[tuple[str, int], list[TuningPath]]) -> list[Statement]:
    statements: list[Statement] = []
    for way in ways:
        both = harms(paths, way, PLAIN)
        gains = np.array([[path.gains[-1] for path in paths[way, seed]] for seed in seeds_of(paths)])
        harm, plain = np.nanmean(both, axis=0)
        print(f"  {way:28} harm {harm:+.4f}, full gradients {plain:+.4f} bits a byte; gained {gains.mean():.2f} nats")
        if way == PLAIN:
            continue
        masked = harms(paths, MASK_ALONE, PLAIN) if MASK_ALONE in ways else np.zeros((len(both), 2))
        less, control = less_harm(both), Control("the better sides alone, within a mask", less_harm(masked))
        name = f"{model}: bits per byte that {way} harms less than full gradients at the same gain"
        if way in ("FTGD, 1%", "differentials, all weights"):
            statements += judged(name, less, Goal(above=0), control)
        else:
            statements.append(Figure(name, less))
    statements.append(
        Figure(
            f"{model}: bits per byte that FTGD, 1% harms less than a random 1% along the same differentials",
            less_harm(harms(paths, "FTGD, 1%", "random, 1%")),
        )
    )
    head = f"{model}: where the ways end, after {GAIN:g} nat or {MOST_STEPS} steps,"
    for what, values in (("nats that FTGD, 1% gains more than full gradients", "gains"), ("bits per byte that it harms less", "bits")):
        ends = [
            np.array([[getattr(path, values)[-1] for path in paths[way, seed]] for seed in seeds_of(paths)]) for way in ("FTGD, 1%", PLAIN)
        ]
        difference = (ends[0] - ends[1]).mean(axis=1)
        statements.append(Figure(f"{head} {what}", t_interval(difference if values == "gains" else -difference, unit="seeds")))
    return statements
