"""What seeds add to the kept differences between text VAE and plain language model, without training again.

    python benchmarks/text_vae_seeds.py [--quick]

The kept intervals were taken after averaging the seeds, so they are over texts alone. Of three seeds the results keep mean, least and
greatest perplexity, which gives all three; perplexities and nats of one model give the words a text. Intervals are Student's, over seeds
of both models and texts at once; and over the seeds alone for the least favorable pairing of the seeds of one with those of the other.
"""

import argparse
import csv
from itertools import permutations

import numpy as np
import scipy.stats

from common import RESULTS, Figure, Statement, finish
from lexframe.intervals import Estimate, t_interval

WORDS = {"captions": 11.323}
"""Words a text and one for its end, of the thousand captions; those of premises follow from what was kept."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the same, and nothing is kept")
    options = parser.parse_args()
    finish([one for name in ("captions", "premises") for one in figures(name)], keep_as=None if options.quick else "text_vae_seeds")


def figures(name: str) -> list[Statement]:
    with (RESULTS / f"text_vae_{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["claim"]: [float(row["value"]), *map(float, row["interval"].split())] for row in csv.DictReader(file)}
    perplexities = {kind: three(*rows[f"{name}: perplexity a word of the {kind} (K = 100)"]) for kind in ("vae", "language-model")}
    kept = f"{name}: nats a text of the plain language model (1000 texts)"
    words = WORDS[name] if kept not in rows else rows[kept][1] / np.log(perplexities["language-model"][0])
    vae, plain = (words * np.log(found) for found in perplexities.values())
    found: list[Statement] = []
    for claim, (value, low, high) in rows.items():
        if "less those of the plain language model" in claim:
            both = f"{claim.removesuffix(', mean of seeds')}; over seeds and texts, worked back"
            found.append(Figure(both, over_both(value, (high - low) / 2, vae, plain)))
    widest = max((t_interval(vae - np.array(order), unit="seeds") for order in permutations(plain)), key=lambda one: one.high - one.low)
    found.append(Figure(f"{name}: the same at K = 100 over the seeds alone, paired least favorably", widest))
    for one in found:
        print(one.claim, one.value)
    return found


def three(mean: float, least: float, greatest: float) -> np.ndarray:
    """The values of three seeds, in order, by their mean and ends."""
    return np.array([least, 3 * mean - least - greatest, greatest])


def over_both(value: float, reach: float, ours: np.ndarray, theirs: np.ndarray) -> Estimate:
    """The difference with the variance of its texts (`reach` is half of their 95% interval) and that of both models' seeds (Welch)."""
    texts = (reach / scipy.stats.norm.ppf(0.975)) ** 2
    parts = np.array([each.var(ddof=1) / len(each) for each in (ours, theirs)])
    variance = texts + parts.sum()
    freedom = variance**2 / (parts**2 / (len(ours) - 1)).sum()  # Satterthwaite's; texts are many
    half = float(scipy.stats.t.ppf(0.975, freedom) * np.sqrt(variance))
    return Estimate(value, value - half, value + half, "seeds of each model, and texts", len(ours))


if __name__ == "__main__":
    main()
