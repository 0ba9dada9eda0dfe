"""Next-token prediction in a domain: what moving the last state is worth, beside kNN-LM and LoRA.

The states that the output head reads are made once; every method but LoRA works on them and leaves the model as it is.
All choices are made on the tail of the domain text; held-out text is only scored.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import nn

from lexframe.exceptions import DataError, InputError, ModelError
from lexframe.instruments.classifiers.next_token_calibration import NextTokenCalibration, NextTokenHead, next_token_losses, tail_start
from lexframe.intervals import Estimate, ratio_estimate
from lexframe.provenance import Provenance
from lexframe.spaces.base import Progress
from lexframe.spaces.batching import length_batches
from lexframe.spaces.language_model.layers import evaluation_mode, find_blocks, longest_input, read_states
from lexframe.spaces.language_model.output_head import output_head
from lexframe.spaces.language_model.space import LanguageModelSpace
from lexframe.studies.lora_language_model import train_lora

CALIBRATIONS = ("unigram", "affine", "neural")
METHODS = ("frozen", *CALIBRATIONS, "knn-lm", "lora")
DESCRIPTIONS = {
    "frozen": "the model as it is",
    "unigram": "logits shifted by what the domain's word counts say",
    "affine": "the last state moved by an affine map",
    "neural": "the last state moved by the paper's module",
    "knn-lm": "mixed with the tokens that followed the nearest states of the domain text",
    "lora": "low-rank updates of every layer, for as long as the best calibration took",
}
NEIGHBORS = (8, 32, 128, 512)
TEMPERATURES = (0.03, 0.1, 0.3, 1.0)
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_BLOCK = 1 << 24
"""Numbers in one block of distances, 64 MiB."""


@dataclass(frozen=True, slots=True)
class NextTokenScore:
    """One method on the held-out text.

    Attributes
    ----------
    method : str
        Its name; LoRA that was given m times the time is ``lora-mx``.
    perplexity : Estimate
        Exponential of the mean loss in nats a token.
    bits_per_byte : Estimate
        Loss in bits over the UTF-8 bytes of the text; comparable between tokenizers.
    difference : Estimate
        Bits per byte minus those of the frozen model, paired over documents; below zero is better.
    fit_seconds : float
        Every choice included; on states that are there already, except for LoRA.
    score_seconds : float
        For the held-out text; for LoRA its own states are made anew.
    n_parameters : int
        Numbers learnt; for kNN-LM the numbers it stores.
    choices : dict
        What was chosen on the tail of the domain text, as plain types.
    """

    method: str
    perplexity: Estimate
    bits_per_byte: Estimate
    difference: Estimate
    fit_seconds: float
    score_seconds: float
    n_parameters: int
    choices: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; intervals as [low, high]."""
        return {
            "perplexity": self.perplexity.value,
            "perplexity_interval": [self.perplexity.low, self.perplexity.high],
            "bits_per_byte": self.bits_per_byte.value,
            "bits_per_byte_interval": [self.bits_per_byte.low, self.bits_per_byte.high],
            "bits_per_byte_minus_frozen": self.difference.value,
            "bits_per_byte_minus_frozen_interval": [self.difference.low, self.difference.high],
            "fit_seconds": round(self.fit_seconds, 3),
            "score_seconds": round(self.score_seconds, 3),
            "n_parameters": self.n_parameters,
            "choices": self.choices,
        }


@dataclass(frozen=True, slots=True)
class NextTokenComparison:
    """A language model in a domain, method by method, on the same held-out text.

    Attributes
    ----------
    methods : dict of str to NextTokenScore
        In the order asked for, the frozen model first.
    best_calibration : str or None
        The calibration with the smallest loss on the tail of the domain text; None where none was asked for.
    n_domain_tokens, n_held_out_tokens, n_held_out_bytes : int
        Tokens that were predicted, and the bytes of the held-out text.
    n_domain_documents, n_held_out_documents : int
        Empty ones left out.
    n_shared_documents : int
        Held-out documents that also stand in the domain text; they flatter every method but the frozen model.
    context, stride : int
        Of the windows, in tokens.
    unit : {"document", "window"}
        What the intervals draw anew; windows where the held-out text is a single document.
    encode_seconds : float
        To make the states of the domain text.
    provenance : Provenance
    """

    methods: dict[str, NextTokenScore]
    best_calibration: str | None
    n_domain_tokens: int
    n_held_out_tokens: int
    n_held_out_bytes: int
    n_domain_documents: int
    n_held_out_documents: int
    n_shared_documents: int
    context: int
    stride: int
    unit: str
    encode_seconds: float
    provenance: Provenance

    def summary(self) -> str:
        """The result in a sentence."""
        frozen = self.methods["frozen"].perplexity
        text = f"On {self.n_held_out_tokens:,} held-out tokens the frozen model has a perplexity of {frozen.value:.1f}"
        if self.best_calibration is None:
            return text + "."
        best = self.methods[self.best_calibration]
        seconds = self.encode_seconds + best.fit_seconds
        return (
            f"{text}; with {DESCRIPTIONS[best.method]}, fitted on {self.n_domain_tokens:,} tokens in {seconds:.1f} s, it is "
            f"{best.perplexity.value:.1f} [{best.perplexity.low:.1f}, {best.perplexity.high:.1f}]."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "summary": self.summary(),
            "methods": {name: score.to_dict() for name, score in self.methods.items()},
            "best_calibration": self.best_calibration,
            "n_domain_tokens": self.n_domain_tokens,
            "n_held_out_tokens": self.n_held_out_tokens,
            "n_held_out_bytes": self.n_held_out_bytes,
            "n_domain_documents": self.n_domain_documents,
            "n_held_out_documents": self.n_held_out_documents,
            "n_shared_documents": self.n_shared_documents,
            "context": self.context,
            "stride": self.stride,
            "unit": self.unit,
            "encode_seconds": round(self.encode_seconds, 3),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> Any:
        """The comparison as a pandas table, a row a method."""
        import pandas as pd

        return pd.DataFrame.from_dict({name: score.to_dict() for name, score in self.methods.items()}, orient="index")

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(float_format="{:.3f}".format)


@dataclass(frozen=True, slots=True)
class NextTokenStates:
    """What the output head reads at every position of some documents, and the token that follows there.

    Attributes
    ----------
    states : ndarray of shape (n_positions, n_dims), float32
        The last state, after the final norm, in the order of the text.
    next_ids : ndarray of int, shape (n_positions,)
    n_bytes : ndarray of int, shape (n_positions,)
        UTF-8 bytes of the token that follows; they add up to the bytes of the documents.
    documents, windows : ndarray of int, shape (n_positions,)
        Which document, and which window of all, each position belongs to.
    """

    states: Float32[np.ndarray, "n_positions n_dims"]
    next_ids: Int[np.ndarray, " n_positions"]
    n_bytes: Int[np.ndarray, " n_positions"]
    documents: Int[np.ndarray, " n_positions"]
    windows: Int[np.ndarray, " n_positions"]

    def __len__(self) -> int:
        return len(self.next_ids)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A method after its fit: losses on the held-out text and on the tail in nats, and the rest of its score."""

    losses: np.ndarray
    tail_loss: float
    fit_seconds: float
    score_seconds: float
    n_parameters: int
    choices: dict[str, Any]


def compare_next_token(
    space: LanguageModelSpace,
    domain: str | Sequence[str],
    held_out: str | Sequence[str],
    *,
    methods: Sequence[str] = METHODS,
    context: int = 256,
    stride: int | None = None,
    tail_share: float = 0.1,
    seconds: float | None = None,
    lora_multiples: Sequence[float] = (1.0, 10.0),
    batch_size: int = 16,
    seed: int = 0,
    progress: Progress = iter,
) -> NextTokenComparison:
    r"""Fit every method on a small text of a domain and compare their predictions of held-out text.

    A document is read as the separator (the tokenizer's beginning-of-text token, or else its end-of-text token) and its
    tokens. Windows of at most `context` tokens move on by `stride`, and each token is predicted once, in the first
    window that holds it; the separator is never predicted. Template, layer and pooling of `space` play no part.

    Parameters
    ----------
    space : LanguageModelSpace
        Over a causal language model, frozen.
    domain, held_out : str or sequence of str
        Documents; a single string is one document. Empty ones are passed over.
    methods : sequence of str
        Among ``frozen``, ``unigram``, ``affine``, ``neural``, ``knn-lm`` and ``lora``; the frozen model is always there.
    context, stride : int
        Of the windows, in tokens. The default stride is half of the context.
    tail_share : float
        Share of the domain text, at its end, on which every choice is made.
    seconds : float, optional
        Time of LoRA. Default: that of the best calibration on the tail, with the time its states took.
    lora_multiples : sequence of float
        LoRA is trained once for each of these multiples of that time.
    batch_size : int
        Full windows in one forward pass.
    seed : int
        Of everything random, the bootstrap included.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    NextTokenComparison

    Raises
    ------
    DataError
        If there is no text, the domain text is shorter than a window, or the held-out text makes a single window.
    InputError
        If a method is unknown, the model is not causal, context and stride make no sense, or LoRA has no time to go by.
    MissingExtraError
        If LoRA is asked for and peft is not installed.
    """
    methods = _checked_methods(methods, seconds)
    stride = stride if stride is not None else max(1, context // 2)
    options: dict[str, Any] = {"context": context, "stride": stride, "batch_size": batch_size, "progress": progress}
    domain, held_out = _documents(domain, "domain"), _documents(held_out, "held-out")
    head = _frozen_head(space)

    started = time.perf_counter()
    known = read_next_tokens(space.model, space.tokenizer, domain, **options)
    encode_seconds = time.perf_counter() - started
    if len(known) < context:
        raise DataError(
            f"The domain text has {len(known)} tokens, fewer than one window of {context}. Give more text, or a smaller context."
        )
    asked = read_next_tokens(space.model, space.tokenizer, held_out, **options)
    units, unit = _units(asked)

    started = time.perf_counter()
    frozen = _losses(head, asked)
    scoring = time.perf_counter() - started
    tail = slice(tail_start(len(known), tail_share), None)
    tail_loss = float(_losses(head, known, tail).mean())
    fits = {"frozen": _Fit(frozen, tail_loss, 0.0, scoring, 0, {})}
    for method in methods:
        if method in CALIBRATIONS:
            fits[method] = _fit_calibration(method, head, known, asked, tail_share, seed)
        elif method == "knn-lm":
            fits[method] = _fit_neighbors(head, known, asked, tail_share)
    calibrated = [method for method in fits if method in CALIBRATIONS]
    best = min(calibrated, key=lambda method: fits[method].tail_loss) if calibrated else None
    if "lora" in methods:
        budget = seconds if seconds is not None else encode_seconds + fits[best or "frozen"].fit_seconds
        windows = _training_windows(space, domain, context)
        for multiple in lora_multiples:
            name = "lora" if multiple == 1 else f"lora-{multiple:g}x"
            fits[name] = _fit_lora(space, head, windows, held_out, options, tail_share, budget * multiple, seed)

    return NextTokenComparison(
        methods={name: _score(name, fit, frozen, asked, units, seed) for name, fit in fits.items()},
        best_calibration=best,
        n_domain_tokens=len(known),
        n_held_out_tokens=len(asked),
        n_held_out_bytes=int(asked.n_bytes.sum()),
        n_domain_documents=len(domain),
        n_held_out_documents=len(held_out),
        n_shared_documents=sum(text in set(domain) for text in held_out),
        context=context,
        stride=stride,
        unit=unit,
        encode_seconds=encode_seconds,
        provenance=Provenance(
            space=space.fingerprint,
            seed=seed,
            parameters={"methods": list(methods), "context": context, "stride": stride, "tail_share": tail_share, "seconds": seconds},
        ),
    )


def _checked_methods(methods: Sequence[str], seconds: float | None) -> tuple[str, ...]:
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise InputError(f"Unknown method {', '.join(unknown)}; there are {', '.join(METHODS)}.")
    if "lora" in methods and seconds is None and not set(CALIBRATIONS) & set(methods):
        raise InputError(f"LoRA has no time to go by. Give seconds, or one of the methods {', '.join(CALIBRATIONS)}.")
    return tuple(method for method in METHODS if method in methods or method == "frozen")


def _documents(texts: str | Sequence[str], what: str) -> list[str]:
    documents = [text for text in ([texts] if isinstance(texts, str) else texts) if text]
    if not documents:
        raise DataError(f"The {what} text is empty. Give at least one document.")
    return documents


def read_next_tokens(
    model: nn.Module,
    tokenizer: Any,
    documents: Sequence[str],
    *,
    context: int = 256,
    stride: int | None = None,
    batch_size: int = 16,
    progress: Progress = iter,
) -> NextTokenStates:
    """The last state at every position of `documents`, and the token that follows.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model of the transformers library.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer; read only.
    documents : sequence of str
        Each begins with the document separator; empty ones have no position.
    context, stride, batch_size, progress
        See :func:`compare_next_token`.

    Returns
    -------
    NextTokenStates

    Raises
    ------
    InputError
        If context and stride make no sense, or the model cannot take so long a context.
    ModelError
        If the ids are not of this model's vocabulary, or the tokenizer is not a fast one.
    """
    stride = stride if stride is not None else max(1, context // 2)
    _check_windows(model, tokenizer, context, stride)
    ids, n_bytes = _tokenized(tokenizer, documents)
    n_rows = model.get_input_embeddings().num_embeddings  # type: ignore[operator]
    largest = max((int(sequence.max()) for sequence in ids if len(sequence)), default=0)
    if largest >= n_rows:
        raise ModelError(f"The tokenizer gives the id {largest}, but the model knows {n_rows} tokens. Use the tokenizer of this model.")
    # (document, first input, last input + 1, first input whose next token is predicted here)
    pieces = [(number, *window) for number, sequence in enumerate(ids) for window in _windows(len(sequence) - 1, context, stride)]
    parts: list[np.ndarray | None] = [None] * len(pieces)
    read = np.array([stop - start for _, start, stop, _ in pieces], dtype=np.int64)
    with evaluation_mode(model):
        for batch in progress(length_batches(read, most_tokens=batch_size * context)):
            inputs = [ids[number][start:stop] for number, start, stop, _ in (pieces[piece] for piece in batch)]
            for piece, states in zip(batch, _last_states(model, inputs), strict=True):
                _, start, stop, first = pieces[piece]
                parts[piece] = states[first - start : stop - start]
    predicted = [slice(first, stop) for _, _, stop, first in pieces]
    lengths = [part.stop - part.start for part in predicted]
    numbers = [piece[0] for piece in pieces]
    return NextTokenStates(
        states=np.concatenate([part for part in parts if part is not None] or [np.zeros((0, 1), dtype=np.float32)]),
        next_ids=_joined([ids[number][1:][part] for number, part in zip(numbers, predicted, strict=True)]),
        n_bytes=_joined([n_bytes[number][part] for number, part in zip(numbers, predicted, strict=True)]),
        documents=np.repeat(np.array(numbers, dtype=np.int64), lengths),
        windows=np.repeat(np.arange(len(pieces)), lengths),
    )


def _check_windows(model: nn.Module, tokenizer: Any, context: int, stride: int) -> None:
    if context < 1 or not 1 <= stride <= context:
        raise InputError(f"context is {context} and stride {stride}; expected 1 <= stride <= context, so that no token is left out.")
    longest = longest_input(model, tokenizer)
    if context > longest:
        raise InputError(f"context is {context}, but the model takes {longest} tokens at most. Ask for a context of {longest} or less.")


def _tokenized(tokenizer: Any, documents: Sequence[str]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Ids of each document after the separator, and the bytes of each token but the first, which is only read."""
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{type(tokenizer).__name__} gives no character offsets. Use a tokenizer with a tokenizer.json.")
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None or backend.padding is not None:  # the caller's settings stay as they are
        backend = type(backend).from_str(backend.to_str())
        backend.no_truncation()
        backend.no_padding()
    separator = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    ids, n_bytes = [], []
    for text, encoding in zip(documents, backend.encode_batch(list(documents), add_special_tokens=False), strict=True):
        start = [] if separator is None else [separator]
        ids.append(np.array([*start, *encoding.ids], dtype=np.int64))
        # A token reaches to the beginning of the next one; the first that is predicted takes all that stands before it.
        bounds = [0, *(begin for begin, _ in encoding.offsets[2 - len(start) :]), len(text)]
        n_bytes.append(np.array([len(text[low:high].encode()) for low, high in itertools.pairwise(bounds)], dtype=np.int64))
    return ids, n_bytes


def _windows(n_inputs: int, context: int, stride: int) -> list[tuple[int, int, int]]:
    """Windows (start, stop, first): inputs start … stop are read, the tokens after inputs first … stop are predicted."""
    windows, start, done = [], 0, 0
    while done < n_inputs:
        stop = min(start + context, n_inputs)
        windows.append((start, stop, done))
        start, done = start + stride, stop
    return windows


def _last_states(model: nn.Module, inputs: Sequence[np.ndarray]) -> Float32[np.ndarray, "n_windows n_tokens n_dims"]:
    device = next(model.parameters()).device
    ids = torch.zeros(len(inputs), max(map(len, inputs)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(inputs):
        ids[row, : len(sequence)] = torch.from_numpy(sequence)
        mask[row, : len(sequence)] = 1
    last = len(find_blocks(model))
    return read_states(model, ids.to(device), mask.to(device), [last])[last].float().cpu().numpy()


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([*parts, np.zeros(0, dtype=np.int64)])


def _frozen_head(space: LanguageModelSpace) -> NextTokenHead:
    """The output head as arrays; a scale on the logits is taken into weight and bias."""
    head = output_head(space.model)
    if "MaskedLM" in type(space.model).__name__:
        raise InputError(f"{type(space.model).__name__} does not predict the next token. Use a causal language model.")
    bias = None if head.bias is None else (head.scale * head.bias.detach()).float().cpu().numpy()
    return NextTokenHead((head.scale * head.weight.detach()).float().cpu().numpy(), bias, head.soft_cap)


def _losses(head: NextTokenHead, known: NextTokenStates, rows: slice = slice(None)) -> Float[np.ndarray, " n_positions"]:
    return next_token_losses(known.states[rows], known.next_ids[rows], head)


def _fit_calibration(
    method: str, head: NextTokenHead, known: NextTokenStates, asked: NextTokenStates, tail_share: float, seed: int
) -> _Fit:
    started = time.perf_counter()
    calibration = NextTokenCalibration(
        head.unembedding, bias=head.bias, soft_cap=head.soft_cap, method=method, tail_share=tail_share, random_state=seed
    ).fit(known.states, known.next_ids)
    fitted = time.perf_counter()
    losses = calibration.losses(asked.states, asked.next_ids)
    done = time.perf_counter()
    return _Fit(losses, calibration.tail_loss_, fitted - started, done - fitted, calibration.n_parameters_, calibration.choices_)


@dataclass(frozen=True, slots=True)
class NeighborPrediction:
    r"""The nearest-neighbor language model [1]_ over the last state.

    :math:`p(v) = w \, p_\mathrm{kNN}(v) + (1 - w) \, p_\mathrm{LM}(v)`, where :math:`p_\mathrm{kNN}` is the softmax of
    minus the squared distances of the k nearest stored states over the temperature, added up by the token that followed
    each. The paper's keys are inputs of the last feed-forward layer, ours are the states that the calibrations move.

    Attributes
    ----------
    states : ndarray of shape (n_stored, n_dims)
        The datastore.
    next_ids : ndarray of int, shape (n_stored,)
    n_neighbors : int
        k; fewer where less is stored.
    temperature : float
        In units of squared distance.
    weight : float
        w, in [0, 1]; 0 is the frozen model.

    References
    ----------
    .. [1] Khandelwal et al. (2020), Generalization through Memorization: Nearest Neighbor Language Models, ICLR.
    """

    states: np.ndarray
    next_ids: np.ndarray
    n_neighbors: int
    temperature: float
    weight: float

    def losses(self, asked: NextTokenStates, frozen: Float[np.ndarray, " n_positions"]) -> Float[np.ndarray, " n_positions"]:
        """Minus log-probability in nats of the tokens that follow, given those of the frozen model."""
        distances, rows = nearest_states(asked.states, self.states, self.n_neighbors)
        matches = self.next_ids[rows] == asked.next_ids[:, np.newaxis]
        return mixed_losses(neighbor_probability(distances, matches, self.temperature), frozen, self.weight)


def nearest_states(
    queries: Float[np.ndarray, "n_queries n_dims"], stored: Float[np.ndarray, "n_stored n_dims"], k: int, *, block: int = _BLOCK
) -> tuple[Float[np.ndarray, "n_queries k"], Int[np.ndarray, "n_queries k"]]:
    """Squared Euclidean distances and rows of the k nearest stored states, exactly, nearest first.

    Parameters
    ----------
    queries, stored : ndarray of shape (n_queries, n_dims), (n_stored, n_dims)
        States.
    k : int
        At most n_stored.
    block : int
        Distances held at once.

    Returns
    -------
    distances, rows : ndarray of shape (n_queries, k)
    """
    points = torch.from_numpy(np.ascontiguousarray(stored))
    squares = (points**2).sum(1)
    distances = np.empty((len(queries), k), dtype=queries.dtype)
    rows = np.empty((len(queries), k), dtype=np.int64)
    size = max(1, block // max(1, len(stored)))
    for start in range(0, len(queries), size):
        part = torch.from_numpy(np.ascontiguousarray(queries[start : start + size]))
        found = ((part**2).sum(1, keepdim=True) - 2 * part @ points.T + squares).topk(k, dim=1, largest=False)
        distances[start : start + size] = found.values.clamp(min=0).numpy()
        rows[start : start + size] = found.indices.numpy()
    return distances, rows


def neighbor_probability(
    distances: Float[np.ndarray, "n_queries k"], matches: np.ndarray, temperature: float
) -> Float[np.ndarray, " n_queries"]:
    """Weight of the neighbors that were followed by the token asked for; distances rise from left to right."""
    weights = np.exp((distances[:, :1] - distances).astype(np.float64) / temperature)
    return (weights * matches).sum(1) / weights.sum(1)


def mixed_losses(probability: Float[np.ndarray, " n"], frozen: Float[np.ndarray, " n"], weight: float) -> Float[np.ndarray, " n"]:
    """Minus log of the mixture of neighbors (`weight`) and frozen model, from the latter's losses in nats."""
    if weight == 0:
        return frozen
    with np.errstate(divide="ignore"):  # no neighbor was followed by this token
        return -np.logaddexp(np.log(weight * probability), np.log1p(-weight) - frozen)


def fit_neighbors(
    states: Float[np.ndarray, "n n_dims"],
    next_ids: Int[np.ndarray, " n"],
    frozen_tail: Float[np.ndarray, " n_tail"],
) -> tuple[NeighborPrediction, float]:
    """Choose neighbors, temperature and weight on the tail, then store all of the domain text.

    Parameters
    ----------
    states, next_ids : ndarray of shape (n, n_dims), (n,)
        Of the domain text; the last n_tail positions are the tail, and do not count as neighbors while choosing.
    frozen_tail : ndarray of shape (n_tail,)
        Losses of the frozen model on the tail, in nats.

    Returns
    -------
    model : NeighborPrediction
    tail_loss : float
        In nats a token.
    """
    start = len(states) - len(frozen_tail)
    ks = [k for k in NEIGHBORS if k < start] or [start]
    distances, rows = nearest_states(states[start:], states[:start], ks[-1])
    matches = next_ids[:start][rows] == next_ids[start:, np.newaxis]
    scale = float(np.median(distances[:, 0])) or 1.0
    best, choice = float(frozen_tail.mean()), (ks[0], scale, 0.0)
    for k in ks:
        for temperature in (scale * factor for factor in TEMPERATURES):
            probability = neighbor_probability(distances[:, :k], matches[:, :k], temperature)
            for weight in WEIGHTS:
                loss = float(mixed_losses(probability, frozen_tail, weight).mean())
                if loss < best:
                    best, choice = loss, (k, temperature, weight)
    return NeighborPrediction(states, next_ids, *choice), best


def _fit_neighbors(head: NextTokenHead, known: NextTokenStates, asked: NextTokenStates, tail_share: float) -> _Fit:
    started = time.perf_counter()
    frozen_tail = _losses(head, known, slice(tail_start(len(known), tail_share), None))
    model, tail_loss = fit_neighbors(known.states, known.next_ids, frozen_tail)
    fitted = time.perf_counter()
    losses = model.losses(asked, _losses(head, asked))
    done = time.perf_counter()
    choices = {"n_neighbors": model.n_neighbors, "temperature": model.temperature, "weight": model.weight}
    return _Fit(losses, tail_loss, fitted - started, done - fitted, known.states.size + known.next_ids.size, choices)


def _training_windows(space: LanguageModelSpace, documents: Sequence[str], context: int) -> list[np.ndarray]:
    """Ids of the documents in pieces that predict `context` tokens at most, each token once."""
    ids, _ = _tokenized(space.tokenizer, documents)
    return [sequence[start : stop + 1] for sequence in ids for start, stop, _ in _windows(len(sequence) - 1, context, context)]


def _fit_lora(
    space: LanguageModelSpace,
    head: NextTokenHead,
    windows: list[np.ndarray],
    held_out: Sequence[str],
    options: dict[str, Any],
    tail_share: float,
    seconds: float,
    seed: int,
) -> _Fit:
    predicted = np.cumsum([len(window) - 1 for window in windows])
    cut = min(max(1, int(np.searchsorted(predicted, (1 - tail_share) * predicted[-1]))), len(windows) - 1)
    run = train_lora(space.model, windows[:cut], windows[cut:], seconds=seconds, seed=seed)
    started = time.perf_counter()
    losses = _losses(head, read_next_tokens(run.model, space.tokenizer, held_out, **options))
    scoring = time.perf_counter() - started
    choices = {"seconds": round(seconds, 3), "n_steps": run.n_steps, "epochs": round(run.epochs, 2)}
    return _Fit(losses, run.tail_loss, run.seconds, scoring, run.n_parameters, choices)


def _units(asked: NextTokenStates) -> tuple[np.ndarray, str]:
    """What the intervals draw anew: a number for every position."""
    for units, name in ((asked.documents, "document"), (asked.windows, "window")):
        if len(np.unique(units)) > 1:
            return np.unique(units, return_inverse=True)[1], name
    raise DataError("The held-out text makes a single window, which leaves no interval. Give more text or documents, or a smaller context.")


def _score(name: str, fit: _Fit, frozen: np.ndarray, asked: NextTokenStates, units: np.ndarray, seed: int) -> NextTokenScore:
    def by_unit(values: np.ndarray) -> np.ndarray:
        return np.bincount(units, weights=values).astype(np.float64)

    n_tokens, n_bytes = by_unit(np.ones(len(asked))), by_unit(asked.n_bytes)
    nats = ratio_estimate(by_unit(fit.losses), n_tokens, seed=seed)
    return NextTokenScore(
        method=name,
        perplexity=nats.mapped(np.exp),
        bits_per_byte=ratio_estimate(by_unit(fit.losses) / np.log(2), n_bytes, seed=seed),
        difference=ratio_estimate(by_unit(fit.losses - frozen) / np.log(2), n_bytes, seed=seed),
        fit_seconds=fit.fit_seconds,
        score_seconds=fit.score_seconds,
        n_parameters=fit.n_parameters,
        choices={**fit.choices, "tail_loss": fit.tail_loss},
    )
