"""Task spaces and transfers whose numbers are written down, for pages and charts: three groups of tasks that are alike within."""

import numpy as np

from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.task_space import DroppedTask, TaskFacts, TaskSpace, Transfer

WITHIN, BETWEEN = 0.6, 0.1
PARTS = ("embedding", "block 0", "head")


def estimate(value, reach=0.05):
    return Estimate(value, value - reach, value + reach)


def made_space(names=None, groups=None, *, noise=0.05, similarity=None, n_resamples=12, seed=0):
    """Tasks of the same group have a similarity of about .6, others of .1; words are shared at random."""
    groups = ["a", "a", "a", "b", "b", "b", "c", "c"] if groups is None else groups
    names = [f"{group}_{place}" for place, group in enumerate(groups)] if names is None else names
    n, rng = len(names), np.random.default_rng(seed)
    same = np.array([[one is not None and one == other for other in groups] for one in groups]) | np.eye(n, dtype=bool)

    def symmetric(spread):
        values = rng.normal(size=(n, n)) * spread
        return np.where(np.eye(n, dtype=bool), 0.0, (values + values.T) / 2)

    if similarity is None:
        similarity = np.where(np.eye(n, dtype=bool), 1.0, np.where(same, WITHIN, BETWEEN)) + symmetric(noise)
    resampled = np.stack([similarity + symmetric(noise) for _ in range(n_resamples)]).astype(np.float32)
    facts = tuple(
        TaskFacts(
            name=name,
            group=group,
            field=None if group is None else "ab" if group in "ab" else "c",
            n_pairs=100 + place,
            n_blocks=10,
            accuracy=estimate(0.5 + 0.04 * place),
            margin=estimate(0.5 * place - 1, 0.2),
            reliability=estimate(0.3 + 0.05 * ((place * 3) % n)),
            unequal=0.25,
            toward=((" himself", 0.3), (" itself", 0.2)),
            away=((" was", -0.3),),
        )
        for place, (name, group) in enumerate(zip(names, groups, strict=True))
    )
    shared = {name: np.clip(0.4 + symmetric(0.2) + np.eye(n), 0, 1) for name in ("words", "contrast", "template")}
    overlap = np.where(np.eye(n, dtype=bool), 0.3, np.where(same, 0.08, 0.02))
    return TaskSpace(
        tasks=facts,
        dropped=(DroppedTask("lost", "the gradients of its halves agree at 0.030 [0.010, 0.050], which is below 0.1"),),
        similarity=similarity,
        low=similarity - 0.15,
        high=similarity + 0.15,
        resampled=resampled,
        overlap=overlap,
        overlap_low=overlap - 0.01,
        overlap_high=overlap + 0.01,
        overlap_chance=0.01,
        parts=PARTS,
        part_similarity=np.stack([similarity * share for share in (0.5, 1.0, 0.25)]),
        controls=shared,
        retest=Estimate(0.8, 0.7, 0.9, "tasks", n),
        error=0.003,
        settings={"n_dims": 2000},
        notes=("One pair was left out.",),
        provenance=Provenance(seed=3),
    )


def made_transfer(
    names=("one", "two", "three", "four"), groups=("g", "h", "g", None), sources=("three", "one"), arms=("differential", "random")
):
    """Every source helps itself by a nat and its group by half of one; half as much came as was foretold."""
    n = len(names)
    gains = np.full((len(arms), len(sources), n), 0.0)
    for row, source in enumerate(sources):
        group = groups[names.index(source)]
        near = [group is not None and other == group for other in groups]
        gains[:, row] = [1.0 if name == source else 0.5 if is_near else -0.1 for name, is_near in zip(names, near, strict=True)]
    gains *= np.array([1.0, 0.1, 0.4, 2.0])[: len(arms), np.newaxis, np.newaxis]
    before = np.linspace(0.2, 0.8, n)
    return Transfer(
        sources=tuple(sources),
        targets=tuple(names),
        groups=tuple(groups),
        arms=tuple(arms),
        n_tested=np.full(n, 50),
        margin_before=before,
        accuracy_before=before,
        margin_after=before + gains,
        accuracy_after=np.clip(before + 0.1 * gains, 0, 1),
        predicted=2 * gains,
        bits_before=Estimate(1.25, 1.2, 1.3),
        bits_change=np.arange(1, 1 + len(arms) * len(sources)).reshape(len(arms), len(sources)) / 1000,
        length=np.ones(len(sources)),
        settings={"share": 0.01},
        notes=("tiny was left out: it has fewer than 8 pairs that can be used.",),
        provenance=Provenance(seed=4),
    )
