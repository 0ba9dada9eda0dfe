"""Lenses on a real language model: what a tuned lens reads at inner layers beyond what needs no state.

    python benchmarks/lenses.py [--quick] [--model smollm2] [--n-tokens 6000] [--n-steps 4] [--n-texts 8] [--lens FOLDER]

Fitted once on documents of a training corpus, measured on its held-out documents and on news (AG News, test), the first 64 words of
each, text by text: divergence of the model's answer from the lens's at five layers, in nats a token. Beside the tuned lens stand the logit
lens; a translator that moves every state by the same vector (`offset`); and one that ignores the state: at every token the mean of the
model's own answers (`constant`), the best that such a lens can say. A lens is of use where it is below both.
"""

import argparse
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from common import SHARED, Control, Exact, Figure, Goal, Statement, default_model, finish, judged, named_after, on_others
from lexframe import LanguageModelSpace, read_table
from lexframe.instruments.traces.lens import Lens, LogitLens, read_through
from lexframe.instruments.traces.lens_fitting import STAGES, fit_tuned_lens
from lexframe.instruments.traces.tuned_lens import TunedLens
from lexframe.intervals import t_interval
from lexframe.linalg import softmax
from lexframe.spaces.base import LensSpace, resolve_layer
from lexframe.spaces.precision import fastest_precision
from lexframe.training.language_model.corpus import read_documents

MAX_WORDS = 64


class ConstantLens(Lens):
    """The same distribution at every token of an inner layer."""

    name = "constant"

    def __init__(self, probabilities: Float[np.ndarray, " n_vocab"]):
        self._logits = np.log(np.maximum(probabilities, 1e-30)).astype(np.float32)

    def logits(
        self, space: LensSpace, inputs: Float[np.ndarray, "n n_dims"], *, layer: int, precision: str = "float32"
    ) -> Float[np.ndarray, "n n_vocab"]:
        if resolve_layer(layer, space.n_layers) == space.n_layers:  # there every lens is the model
            return space.lens.logits(inputs)
        return np.tile(self._logits, (len(inputs), 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the tokens, two steps, two texts")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--n-tokens", type=int, default=6_000)
    parser.add_argument("--n-steps", type=int, default=4)
    parser.add_argument("--n-texts", type=int, default=8, help="of each kind")
    parser.add_argument("--lens", metavar="FOLDER", help="a lens fitted before; where there is none, the new one is kept there")
    options = parser.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is absent: there is no text to fit a lens on")
    n_tokens, n_steps, n_texts = (1_000, 2, 2) if options.quick else (options.n_tokens, options.n_steps, options.n_texts)
    space = LanguageModelSpace(options.model)
    known = beginnings("train-00.txt.xz", n_tokens // 40)
    precision = fastest_precision()
    start = time.process_time()
    if options.lens and Path(options.lens).is_dir():
        tuned = TunedLens.load(options.lens)
    else:
        tuned = fit_tuned_lens(space, known, n_steps=n_steps, max_tokens=n_tokens, precision=precision, seed=0)
        print(f"fitted in {time.process_time() - start:.0f} s of processor time", flush=True)
        if options.lens:
            tuned.save(options.lens)
    stages = {stage: np.array([fit.kl[stage] for fit in tuned.fits]) for stage in STAGES}
    print(f"on tokens kept apart, nats a token: {', '.join(f'{stage} {kl.mean():.3f}' for stage, kl in stages.items())}; chosen: ", end="")
    print(" ".join(fit.chosen for fit in tuned.fits), flush=True)
    offset, constant = without_matrix(space, known[: max(8, len(known) // 8)], tuned)
    lenses: dict[str, Lens] = {"logit": LogitLens(), "constant": constant, "offset": offset, "tuned": tuned}
    news = read_table(SHARED / "data" / "agnews" / "test.jsonl.gz", label=None).texts
    kinds = {
        "held-out documents": beginnings("valid.txt.xz", n_texts),
        "news": [" ".join(text.split()[:MAX_WORDS]) for text in news[:n_texts]],
    }
    gained = float((stages["trained"] - stages["ridge"]).mean())
    found: list[Statement] = [Figure("steps less the ridge alone, on tokens kept apart, mean over layers, nats a token", gained)]
    layers = sorted({*(space.n_layers * quarter // 4 for quarter in range(4)), space.n_layers - 1, space.n_layers})
    for kind, texts in kinds.items():
        rows: dict[str, list[np.ndarray]] = {name: [] for name in lenses}
        for text in texts:
            (read,) = space.token_states_of([text], layers=layers)
            for name, lens in lenses.items():
                shown = read_through(space, lens, read.states, layers, n_top=1, precision=precision)
                rows[name].append(shown.kl_to_final.mean(axis=1))
        tables = {name: np.stack(listed) for name, listed in rows.items()}
        print(f"{kind}, {len(texts)} texts; nats a token at layers {layers}")
        for name, table in tables.items():
            print(f"  {name:9s} " + " ".join(f"{value:6.2f}" for value in table.mean(axis=0)), flush=True)
        found += claims_of(kind, {name: table[:, :-1] for name, table in tables.items()}, layers[:-1])
        last, before = (float(np.abs(tables["tuned"][:, place]).max()) for place in (-1, -2))
        found.append(Exact(f"{kind}: tuned lens at the last layer, nats", last, Goal(at_most=0), Control("the layer before", before)))
    finish(found, keep_as=None if options.quick else named_after("lenses", options.model))


def beginnings(name: str, n: int) -> list[str]:
    """The first words of so many documents of the corpus."""
    return [" ".join(text.split()[:MAX_WORDS]) for text in islice(read_documents(SHARED / "corpus" / name), n)]


def without_matrix(space: LanguageModelSpace, texts: list[str], tuned: TunedLens) -> tuple[TunedLens, ConstantLens]:
    """The lens that moves every state of a layer alike, by the mean of what is left to move, and the one that reads no state."""
    moves, total, count = np.zeros_like(tuned.offsets, dtype=np.float64), np.zeros(space.n_vocab), 0
    for text in texts:
        (found,) = space.token_states_of([text])
        inputs = [space.lens.input(state, layer=layer) for layer, state in enumerate(found.states)]
        moves += [(inputs[-1] - x).sum(axis=0) for x in inputs[:-1]]
        total += softmax(space.lens.logits(inputs[-1])).sum(axis=0)
        count += len(inputs[-1])
    offsets = (moves / count).astype(np.float32)
    return TunedLens(np.zeros_like(tuned.matrices), offsets, tuned.fingerprint), ConstantLens(total / count)


def claims_of(kind: str, tables: dict[str, np.ndarray], layers: list[int]) -> list[Statement]:
    """Differences over texts at each layer; tables have shape (n_texts, n_layers)."""
    found: list[Statement] = []
    for place, layer in enumerate(layers):
        tuned, itself = tables["tuned"][:, place], on_others(tables["tuned"][:, place], unit="texts")
        for name in (each for each in tables if each != "tuned"):
            gain = t_interval(tuned - tables[name][:, place], unit="texts")
            found += judged(f"{kind}, layer {layer}: tuned lens less {name}, nats a token", gain, Goal(below=0), itself)
        for name, table in tables.items():
            found.append(Figure(f"{kind}, layer {layer}: {name}, nats a token", t_interval(table[:, place], unit="texts")))
    return found


if __name__ == "__main__":
    main()
