"""Sentence encoders of random make, written by sentence-transformers, read by both.

Every configuration draws a family of transformers, a tokenizer setting, poolings, modules behind them, prompts, a cut and a layout of the
folder. The control reads the same transformer with mean pooling alone, without prompt: what is left of an encoder whose configuration
is not looked at.

    python benchmarks/sentence_encoders.py [--quick] [--configurations 100]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from common import Control, Exact, Figure, Goal, finish, peer
from lexframe.exceptions import ModelError
from lexframe.spaces import open_space

TOLERANCE = 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten configurations")
    parser.add_argument("--configurations", type=int, default=100)
    parser.add_argument("--first", type=int, default=1000, help="Number of the first; the tests use numbers below.")
    arguments = parser.parse_args()
    n_configurations = 10 if arguments.quick else arguments.configurations
    if peer("sentence_transformers") is None:
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.sentence_folders import TEXTS, UNSUPPORTED, library_points, random_encoder

    largest, control, not_finite = [], [], 0
    for number in range(arguments.first, arguments.first + n_configurations):
        with tempfile.TemporaryDirectory() as folder:
            configuration = random_encoder(Path(folder), number)
            expected = library_points(configuration)
            if not np.isfinite(expected).all():  # maximum pooling of a text of which all is prompt
                not_finite += 1
                continue
            found = open_space(configuration["folder"], **configuration["given"]).encode(TEXTS)
            largest.append(float(np.abs(found - expected).max()))
            naive = open_space(configuration["transformer"], kind="sentence-encoder", pooling="mean").encode(TEXTS)
            control.append(float(np.abs(naive - expected).max()) if naive.shape == expected.shape else np.inf)
            if largest[-1] > TOLERANCE:
                sys.stderr.write(f"{number}: {largest[-1]:.2g} {configuration}\n")
    right = float(np.mean(np.array(control) <= TOLERANCE))
    refused = sum(refused_by_name(kind) for kind in UNSUPPORTED)
    n = len(largest)
    wide = Control(
        "mean pooling of the same transformer, without prompt: the largest difference",
        max(value for value in control if np.isfinite(value)),
    )
    finish(
        [
            Exact(f"largest difference to the library over {n} random encoders and {len(TEXTS)} texts", max(largest),
                  Goal(at_most=TOLERANCE), wide),
            Figure(f"of the {n}, share that mean pooling without prompt reads right", right),
            Exact(f"share of {len(UNSUPPORTED)} kinds of modules refused by name: {', '.join(UNSUPPORTED)}", refused / len(UNSUPPORTED),
                  Goal(at_least=1), Control("a supported module, Dropout", refused_by_name("sentence_transformers.models.Dropout"))),
            Figure("configurations left out, because the library gives no finite points", not_finite),
        ],
        keep_as=None if arguments.quick else "sentence_encoders",
    )  # fmt: skip


def refused_by_name(kind: str) -> bool:
    """Whether an encoder with one more module of that kind is refused in a line that names it."""
    from tests.sentence_folders import write_encoder, write_module

    with tempfile.TemporaryDirectory() as folder:
        encoder = write_encoder(Path(folder), "bert", pooling=("mean",))
        write_module(encoder, kind)
        try:
            open_space(encoder)
        except ModelError as error:
            return kind.rsplit(".", 1)[-1] in str(error)
    return False


if __name__ == "__main__":
    main()
