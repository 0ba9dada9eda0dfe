"""A real language model beside the embedded one: what it predicts, and whether what lexframe reads in it is what transformers computes.

    python benchmarks/language_model.py [--quick] [--model smollm2] [--parts identity,text,pairs,turns] [--max-bytes 200000] [--every 3]

- identity: states of every layer against transformers' `output_hidden_states`, one text at a time, in float32; the logit lens on the last
  layer against the model's own logits, in float32 and in bfloat16
- text: bits per byte of held-out text (context 512, stride 256), both models on the same bytes, and xz on them
- pairs: BLiMP's pairs of the shared half, both models, beside random weights
- turns: the same with the mark of a chat's turns in front of each sentence, as harnesses that take the beginning-of-text token do

The real model predicts in bfloat16 where that is faster here; how far that moves a figure is measured on a part in float32. Results of a
run of some parts are written beside those of the others.
"""

import argparse
import lzma
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from common import SHARED, Control, Exact, Figure, Goal, Statement, default_model, finish, judged, named_after, on_others, over
from lexframe import LanguageModelSpace, desk
from lexframe.intervals import Estimate, ratio_estimate, t_interval
from lexframe.spaces.language_model.opening import open_causal_model
from lexframe.spaces.language_model.separator import document_separator
from lexframe.spaces.language_model.sequence_scores import separated_ids, sequence_log_probabilities
from lexframe.spaces.precision import fastest_precision
from lexframe.training.language_model.corpus import read_documents
from lexframe.training.language_model.evaluation import Windows
from lexframe.training.language_model.evaluation_result import MinimalPairs
from lexframe.training.language_model.grammatical_pairs import minimal_pairs, read_minimal_pairs

WINDOWS = Windows(512, 256)
LONGEST = 10_000
"""Bytes of a document."""
PARTS = "identity,text,pairs,turns"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few texts, 5 kB and every thousandth pair")
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--parts", default=PARTS)
    parser.add_argument("--max-bytes", type=int, default=200_000, help="of held-out text")
    parser.add_argument("--every", type=int, default=3, help="take every so many-th pair")
    options = parser.parse_args()
    n_texts, most, step = (4, 5_000, 1_000) if options.quick else (24, options.max_bytes, options.every)
    found: list[Statement] = []
    if "identity" in options.parts:
        found += identity(options.model, n_texts)
    if not SHARED.is_dir():
        sys.stderr.write(f"{SHARED} is absent: text and pairs are left out\n")
    elif options.parts != "identity":
        model, tokenizer = open_causal_model(options.model, dtype=fastest_precision())
        plain = open_causal_model("embedded")
        found += held_out_text(model, tokenizer, plain, most) if "text" in options.parts else []
        found += grammar(model, tokenizer, plain, step) if "pairs" in options.parts else []
        found += turns(model, tokenizer, step) if "turns" in options.parts else []
    name = named_after("language_model", options.model)
    finish(found, keep_as=None if options.quick else name, beside=options.parts != PARTS)


def identity(model: str, n_texts: int) -> list[Statement]:
    """Largest differences from transformers, as shares of the largest number of a layer; the layer before is the control."""
    space = LanguageModelSpace(model)
    texts = list(desk("test").texts[:n_texts])
    points = space.encode_layers(texts, layers=range(space.n_layers + 1))  # batches of all lengths, the last token of each text
    states_off = points_off = logits_off = points_other = logits_other = 0.0
    for row, states in enumerate(space.token_states_of(texts)):
        with torch.no_grad():
            read = space.model(input_ids=torch.tensor([states.ids]), output_hidden_states=True, use_cache=False)
        theirs = torch.stack([each[0].float() for each in read.hidden_states]).numpy()
        scale = np.abs(theirs).max(axis=(1, 2))
        states_off = max(states_off, float((np.abs(states.states - theirs).max(axis=(1, 2)) / scale).max()))
        points_off = max(points_off, float((np.abs(points[row] - theirs[:, -1]).max(axis=1) / scale).max()))
        before = np.roll(theirs[:, -1], 1, axis=0)
        points_other = max(points_other, float((np.abs(points[row] - before).max(axis=1) / scale).min()))
        own = read.logits[0, :, : space.n_vocab].float().numpy()
        ours = [space.lens.logits(space.lens.input(states.states[layer], layer=layer)) for layer in (space.n_layers, space.n_layers - 1)]
        logits_off = max(logits_off, float(np.abs(ours[0] - own).max() / np.abs(own).max()))
        logits_other = max(logits_other, float(np.abs(ours[1] - own).max() / np.abs(own).max()))
    coarse, states = LanguageModelSpace(model, dtype="bfloat16"), None
    differing = []
    for text in texts:
        (states,) = coarse.token_states_of([text])
        with torch.no_grad():
            own = coarse.model(input_ids=torch.tensor([states.ids]), use_cache=False).logits[0, :, : coarse.n_vocab].float().numpy()
        ours = coarse.lens.logits(coarse.lens.input(states.states[-1], layer=coarse.n_layers))
        differing.append(float(np.abs(ours - own).max() / np.abs(own).max()))
    n = f"{len(texts)} texts, {space.n_layers + 1} layers"
    print(f"{n}: states off by {states_off:.1e}, points {points_off:.1e}, logits {logits_off:.1e}, in bfloat16 {max(differing):.1e}")
    before = Control("the layer before in its place, least", points_other)
    other = Control("the layer before the last", logits_other)
    return [
        Exact(f"states of every token against transformers, largest difference, float32, {n}", states_off, Goal(at_most=1e-5), before),
        Exact(f"points of padded batches against one text at a time, the same, float32, {n}", points_off, Goal(at_most=1e-5), before),
        Exact("logit lens on the last layer against the logits, largest difference, float32", logits_off, Goal(at_most=1e-5), other),
        Exact("the same in bfloat16, whose digits end at 4e-3", max(differing), Goal(at_most=4e-3), other),
    ]


def held_out_text(model: Any, tokenizer: Any, plain: tuple[Any, Any], most: int) -> list[Statement]:
    """Bits per byte, model by model and document by document."""
    documents = _beginning(most)
    n_bytes = np.array([float(len(each.encode())) for each in documents])
    own, small = _bits(model, tokenizer, documents), _bits(*plain, documents)
    packed = "\n\n".join(documents).encode()
    by_xz = 8 * len(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME)) / len(packed)
    few = slice(max(2, len(documents) // 10))
    exact = _bits(model.float(), tokenizer, documents[few])
    model.to(getattr(torch, fastest_precision()))
    off = float((own[few].sum() - exact.sum()) / n_bytes[few].sum())
    ours, theirs = (over(ratio_estimate(bits, n_bytes), "documents", len(documents)) for bits in (own, small))
    print(
        f"bits per byte {ours}, embedded {theirs}, xz {by_xz:.3f} over {n_bytes.sum():,.0f} bytes; {fastest_precision()} {off:+.5f}",
        flush=True,
    )
    lead = t_interval((own - small) / n_bytes, unit="documents")
    return [
        *judged(f"bits per byte of {n_bytes.sum():,.0f} bytes of held-out text", ours, Goal(below=by_xz / 2), Control("xz -9e", by_xz)),
        Figure("bits per byte of the embedded model, whose training text is of the same sources", theirs),
        *judged("bits per byte less the embedded model's", lead, Goal(below=0), on_others(small / n_bytes, unit="documents")),
        Figure(f"bits per byte: {fastest_precision()} less float32, on {len(exact)} documents", off),
    ]


def _beginning(most: int) -> list[str]:
    """Documents of at most 10 kB of the held-out file, as many as have so many bytes: documents are the units, and none is all there is."""
    documents, count = [], 0
    for document in read_documents(SHARED / "corpus" / "valid.txt.xz"):
        size = len(document.encode())
        if size <= LONGEST:
            documents.append(document)
            count += size
        if count >= most:
            break
    return documents


def _bits(model: Any, tokenizer: Any, documents: list[str]) -> np.ndarray:
    """Bits of each document."""
    ids = separated_ids(tokenizer, documents)
    found = sequence_log_probabilities(model, ids, context=WINDOWS.context, stride=WINDOWS.step, batch_tokens=4096)
    return -found / np.log(2)


def grammar(model: Any, tokenizer: Any, plain: tuple[Any, Any], step: int) -> list[Statement]:
    """BLiMP, over its paradigms."""
    pairs = read_minimal_pairs(SHARED / "data" / "blimp" / "pairs.jsonl.gz")
    few = pairs[:: 10 * step]
    torch.manual_seed(0)
    untrained = type(model)(model.config).eval().to(next(model.parameters()).dtype)
    own, small = minimal_pairs(model, tokenizer, pairs[::step]), minimal_pairs(*plain, pairs[::step])
    noise, coarse = minimal_pairs(untrained, tokenizer, few), minimal_pairs(model, tokenizer, few)
    exact = minimal_pairs(model.float(), tokenizer, few)
    print(f"BLiMP {own.accuracy} over {own.n_pairs:,} pairs, {own.n_ties} ties; embedded {small.accuracy}; random weights {noise.accuracy}")
    for phenomenon, value in own.by_phenomenon.items():
        print(f"  {phenomenon:32s} {value:.3f}   embedded {small.by_phenomenon[phenomenon]:.3f}")
    n = f"{own.n_pairs:,} pairs of {len(own.by_paradigm)} of its 67 paradigms"
    chance = Control("random weights", _paradigms(noise))
    return [
        *judged(f"BLiMP, {n}", _paradigms(own), Goal(above=0.6), chance),
        Figure(f"BLiMP of the embedded model, {n}", _paradigms(small)),
        *judged(
            "BLiMP less the embedded model's",
            _less(own, small),
            Goal(above=0),
            Control("random weights less the embedded model", _less(noise, small)),
        ),
        Figure(f"BLiMP: {fastest_precision()} less float32, {len(few):,} pairs", _less(coarse, exact)),
    ]


def turns(model: Any, tokenizer: Any, step: int) -> list[Statement]:
    """BLiMP after the beginning-of-text token, where chats use it for their turns, and after the separator of documents."""
    pairs = read_minimal_pairs(SHARED / "data" / "blimp" / "pairs.jsonl.gz")[::step]
    own = minimal_pairs(model, tokenizer, pairs)
    separator = document_separator(tokenizer)
    with _usual_separator(tokenizer) as usual:
        if document_separator(tokenizer) == separator:
            return []
        marked = minimal_pairs(model, tokenizer, pairs)
    return [Figure(f"BLiMP: {usual} in front of each sentence less the separator of documents, {len(pairs):,} pairs", _less(marked, own))]


def _paradigms(found: MinimalPairs) -> Estimate:
    return t_interval(list(found.by_paradigm.values()), unit="paradigms")


def _less(found: MinimalPairs, other: MinimalPairs) -> Estimate:
    both = [name for name in found.by_paradigm if name in other.by_paradigm]
    return t_interval([found.by_paradigm[name] - other.by_paradigm[name] for name in both], unit="paradigms")


@contextmanager
def _usual_separator(tokenizer: Any) -> Iterator[str]:
    """The beginning-of-text token in front of sentences, also where chats use it for their turns."""
    template, tokenizer.chat_template = tokenizer.chat_template, None
    try:
        yield str(tokenizer.convert_ids_to_tokens(document_separator(tokenizer)))
    finally:
        tokenizer.chat_template = template


if __name__ == "__main__":
    main()
