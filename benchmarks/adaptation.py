"""Every method on the embedded model's points, on five public sets and desk, with two controls.

Controls: shuffled training labels (every trained method must fall to chance) and a model of the same shape with
random weights (what the architecture and the tokenizer alone give). Three seeds draw the training texts.

    python benchmarks/adaptation.py [--quick] [--model embedded] [--sets trec,subj,...] [--n-train 2000] [--n-test 2000]
"""

import argparse
import sys

import numpy as np
import torch

from common import SHARED, Control, Goal, Statement, finish, judged, without_test_texts
from lexframe import LanguageModelSpace, adapt, desk, read_table
from lexframe.adaptation import method_names
from lexframe.cli.model_options import DEFAULT_TEMPLATE
from lexframe.data import Table
from lexframe.intervals import t_interval
from lexframe.latents import Reading, TextReader

SETS = ("trec", "subj", "agnews", "mr", "carer")
SEEDS = (0, 1, 2)
LEADS = ("semantic-calibration", "posterior")
CONTROL, BELOW = "lda on shuffled labels", "lda on shuffled labels, less lda on random weights"


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
            train, test = (read_table(folder / f"{part}.jsonl.gz") for part in ("train", "test"))
            sets[name] = (without_test_texts(train, test), test)
        else:
            sys.stderr.write(f"{name}: {folder} is absent; left out\n")

    model = LanguageModelSpace(options.model, template=DEFAULT_TEMPLATE)
    other = LanguageModelSpace(random_weights(model.model), tokenizer=model.tokenizer, template=DEFAULT_TEMPLATE)
    space, untrained = (TextReader(opened, Reading.thirds(opened)) for opened in (model, other))  # a text is read once for all seeds
    claims: list[Statement] = []
    every_set: dict[str, list[float]] = {name: [] for name in (*LEADS, CONTROL)}
    print(f"{'set':8s} {'labels':>6s} {'seed':>4s}  " + "  ".join(f"{name:>13s}" for name in method_names("default")) + "  controls")
    for name, (train, test) in sets.items():
        found: dict[str, list[float]] = {name: [] for name in (*LEADS, "lda on trained weights", CONTROL, BELOW)}
        for seed in seeds:
            drawn = sample(train, n_train, seed)
            cut = sample(test, n_test, 0)
            result, _ = adapt(space, drawn, cut, seed=seed)
            shuffled, _ = adapt(space, shuffle_labels(drawn, seed), cut, methods=["lda"], seed=seed)
            random, _ = adapt(untrained, drawn, cut, methods=["lda"], seed=seed)
            values = {method: one.accuracy.value for method, one in result.methods.items()}
            controls = {"shuffled": shuffled.methods["lda"], "random weights": random.methods["lda"]}
            control = (
                ", ".join(f"{what} {method.accuracy.value:.3f}" for what, method in controls.items()) + f", chance {result.chance:.3f}"
            )
            print(
                f"{name:8s} {len(drawn):6d} {seed:4d}  " + "  ".join(f"{value:13.3f}" for value in values.values()) + f"  {control}",
                flush=True,
            )
            plain, blind = max(values["lda"], values["logistic"]), shuffled.methods["lda"].accuracy.value
            untrained_lda = random.methods["lda"].accuracy.value
            for method in LEADS:
                found[method].append(values[method] - plain)
            found[CONTROL].append(blind - plain)
            found["lda on trained weights"].append(values["lda"] - untrained_lda)
            found[BELOW].append(blind - untrained_lda)
        control = Control(CONTROL, t_interval(found[CONTROL], unit="seeds"))
        for method in LEADS:
            title = f"{name}: {method} minus the better plain control, accuracy"
            claims += judged(title, t_interval(found[method], unit="seeds"), Goal(above=0), control)
        below = Control(CONTROL, t_interval(found[BELOW], unit="seeds"))
        value = t_interval(found["lda on trained weights"], unit="seeds")
        claims += judged(f"{name}: lda on trained minus on random weights, accuracy", value, Goal(above=0), below)
        for one, kept in every_set.items():
            kept.append(float(np.mean(found[one])))
    control = Control(CONTROL, t_interval(every_set[CONTROL], unit="sets"))
    for method in LEADS:
        title = f"{method} minus the better plain control, accuracy, mean over sets"
        claims += judged(title, t_interval(every_set[method], unit="sets"), Goal(above=0), control)
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


if __name__ == "__main__":
    main()
