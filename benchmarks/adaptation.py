"""Every method on the embedded model's points, on five public sets and desk, with two controls.

Controls: shuffled training labels (every trained method must fall to chance) and a model of the same shape with
random weights (what the architecture and the tokenizer alone give). Three seeds draw the training texts.

    python benchmarks/adaptation.py [--quick] [--model embedded] [--sets trec,subj,...] [--n-train 2000] [--n-test 2000]
"""

import argparse
import sys

import numpy as np
import torch

from common import SHARED, Claim, finish
from lexframe import LanguageModelSpace, adapt, desk, read_table
from lexframe.adaptation import method_names
from lexframe.cli.model_options import DEFAULT_TEMPLATE
from lexframe.data import Table
from lexframe.latents import Reading, TextReader

SETS = ("trec", "subj", "agnews", "mr", "carer")
SEEDS = (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="desk and one set, 400 labels, one seed")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--n-train", type=int, default=2000, help="training texts drawn at most, anew for every seed")
    parser.add_argument("--n-test", type=int, default=2000, help="test texts drawn at most, the same for every seed")
    options = parser.parse_args()
    seeds, n_train, n_test = ((0,), 400, 400) if options.quick else (SEEDS, options.n_train, options.n_test)
    names = ["trec"] if options.quick else options.sets.split(",")
    sets = {"desk": (desk("train"), desk("test"))}
    for name in names:
        folder = SHARED / "data" / name
        if folder.is_dir():
            sets[name] = (read_table(folder / "train.jsonl.gz"), read_table(folder / "test.jsonl.gz"))
        else:
            sys.stderr.write(f"{name}: {folder} is absent; left out\n")

    model = LanguageModelSpace(options.model, template=DEFAULT_TEMPLATE)
    other = LanguageModelSpace(random_weights(model.model), tokenizer=model.tokenizer, template=DEFAULT_TEMPLATE)
    space, untrained = (TextReader(opened, Reading.thirds(opened)) for opened in (model, other))  # a text is read once for all seeds
    claims = []
    print(f"{'set':8s} {'labels':>6s} {'seed':>4s}  " + "  ".join(f"{name:>13s}" for name in method_names("default")) + "  controls")
    for name, (train, test) in sets.items():
        gains, posterior_gains, above_untrained = [], [], []
        for seed in seeds:
            drawn = sample(train, n_train, seed)
            cut = sample(test, n_test, 0)
            result, _ = adapt(space, drawn, cut, seed=seed)
            shuffled, _ = adapt(space, shuffle_labels(drawn, seed), cut, methods=["lda"], seed=seed)
            random, _ = adapt(untrained, drawn, cut, methods=["lda"], seed=seed)
            values = {method: found.accuracy.value for method, found in result.methods.items()}
            controls = {"shuffled": shuffled.methods["lda"], "random weights": random.methods["lda"]}
            control = (
                ", ".join(f"{name} {method.accuracy.value:.3f}" for name, method in controls.items()) + f", chance {result.chance:.3f}"
            )
            print(
                f"{name:8s} {len(drawn):6d} {seed:4d}  " + "  ".join(f"{value:13.3f}" for value in values.values()) + f"  {control}",
                flush=True,
            )
            gains.append(values["semantic-calibration"] - max(values["lda"], values["logistic"]))
            posterior_gains.append(values["posterior"] - max(values["lda"], values["logistic"]))
            above_untrained.append(values["lda"] - random.methods["lda"].accuracy.value)
        claims += [
            Claim(f"{name}: semantic-calibration minus the better plain control, accuracy", *mean_and_range(gains), "> 0", min(gains) > 0),
            Claim(
                f"{name}: posterior minus the better plain control, accuracy",
                *mean_and_range(posterior_gains),
                "> 0",
                min(posterior_gains) > 0,
            ),
            Claim(
                f"{name}: lda on trained minus on random weights, accuracy",
                *mean_and_range(above_untrained),
                "> 0",
                min(above_untrained) > 0,
            ),
        ]
    finish(claims, keep_as=None if options.quick else "adaptation")


def sample(table: Table, n: int, seed: int) -> Table:
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:n])
    return Table(tuple(table.texts[i] for i in rows), tuple(table.labels[i] for i in rows), table.source, 0, tuple(rows.tolist()))


def shuffle_labels(table: Table, seed: int) -> Table:
    labels = np.random.default_rng(seed).permutation(table.labels).tolist()
    return Table(table.texts, tuple(labels), table.source + " (labels shuffled)", 0, table.rows)


def random_weights(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    return type(model)(model.config).eval()


def mean_and_range(values: list[float]) -> tuple[float, tuple[float, float]]:
    """Mean over seeds, and their range: three seeds carry no more."""
    return float(np.mean(values)), (float(min(values)), float(max(values)))


if __name__ == "__main__":
    main()
