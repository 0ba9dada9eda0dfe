"""Next-token prediction in a domain: what moving the last state is worth, beside kNN-LM and LoRA.

The states that the output head reads are made once; every method but LoRA works on them and leaves the model as it is.
All choices are made on the tail of the domain text; held-out text is only scored.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import DataError, InputError
from lexframe.instruments.classifiers.next_token_calibration import NextTokenCalibration, tail_start
from lexframe.instruments.classifiers.next_token_head import NextTokenHead, next_token_losses
from lexframe.intervals import ratio_estimate
from lexframe.provenance import Provenance
from lexframe.spaces.base import NextTokens, NextTokenSpace, Progress
from lexframe.studies.lora_language_model import LoraRun, train_lora
from lexframe.studies.nearest_states import fit_neighbors
from lexframe.studies.next_token_result import NextTokenComparison, NextTokenScore
from lexframe.studies.next_token_states import NextTokenStates, read_next_tokens, windows_of
from lexframe.training.language_model.evaluation import Windows

CALIBRATIONS = ("unigram", "affine", "neural")
NEXT_TOKEN_METHODS = ("frozen", *CALIBRATIONS, "knn-lm", "lora")
TAIL_SHARE = 0.1
"""Share of the domain text, at its end, on which every choice is made."""
WINDOWS = Windows(256, batch_size=16)


@dataclass(frozen=True, slots=True)
class LoraTime:
    """How long LoRA is trained.

    Attributes
    ----------
    seconds : float or None
        None is the time of the best calibration on the tail, with the time its states took.
    multiples : tuple of float
        LoRA is trained once for each of these multiples of that time.
    """

    seconds: float | None = None
    multiples: tuple[float, ...] = (1.0, 10.0)


LORA_TIME = LoraTime()


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
    space: NextTokenSpace,
    domain: str | Sequence[str],
    held_out: str | Sequence[str],
    *,
    methods: Sequence[str] = NEXT_TOKEN_METHODS,
    windows: Windows = WINDOWS,
    lora: LoraTime = LORA_TIME,
    seed: int = 0,
    progress: Progress = iter,
) -> NextTokenComparison:
    r"""Fit every method on a small text of a domain and compare their predictions of held-out text.

    A document is read as the separator (such as the tokenizer's beginning-of-text token) and its
    tokens. Windows move on, and each token is predicted once, in the first window that holds it; the separator is never predicted.
    Every choice is made on the last tenth of the domain text. Template, layer and pooling of `space` play no part.

    Parameters
    ----------
    space : NextTokenSpace
        Over a causal language model, frozen.
    domain, held_out : str or sequence of str
        Documents; a single string is one document. Empty ones are passed over.
    methods : sequence of str
        Among ``frozen``, ``unigram``, ``affine``, ``neural``, ``knn-lm`` and ``lora``; the frozen model is always there.
    windows : Windows
        How documents are cut.
    lora : LoraTime
        How long LoRA is trained.
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
    methods = _checked_methods(methods, lora.seconds)
    context, stride = windows.context, windows.step
    options: dict[str, Any] = {"context": context, "stride": stride, "batch_size": windows.batch_size, "progress": progress}
    domain, held_out = _documents(domain, "domain"), _documents(held_out, "held-out")
    model = space.next_tokens
    head = _frozen_head(model)

    started = time.perf_counter()
    known = read_next_tokens(model, domain, **options)
    encode_seconds = time.perf_counter() - started
    if len(known) < context:
        raise DataError(
            f"The domain text has {len(known)} tokens, fewer than one window of {context}. Give more text, or a smaller context."
        )
    asked = read_next_tokens(model, held_out, **options)
    units, unit = _units(asked)

    started = time.perf_counter()
    frozen = _losses(head, asked)
    scoring = time.perf_counter() - started
    tail = slice(tail_start(len(known), TAIL_SHARE), None)
    tail_loss = float(_losses(head, known, tail).mean())
    fits = {"frozen": _Fit(frozen, tail_loss, 0.0, scoring, 0, {})}
    for method in methods:
        if method in CALIBRATIONS:
            fits[method] = _fit_calibration(method, head, known, asked, seed)
        elif method == "knn-lm":
            fits[method] = _fit_neighbors(head, known, asked)
    calibrated = [method for method in fits if method in CALIBRATIONS]
    best = min(calibrated, key=lambda method: fits[method].tail_loss) if calibrated else None
    if "lora" in methods:
        budget = lora.seconds if lora.seconds is not None else encode_seconds + fits[best or "frozen"].fit_seconds
        pieces = _training_windows(model, domain, context)
        for multiple in lora.multiples:
            name = "lora" if multiple == 1 else f"lora-{multiple:g}x"
            fits[name] = _fit_lora(model, head, pieces, held_out, options, budget * multiple, seed)

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
            parameters={"methods": list(methods), "context": context, "stride": stride, "tail_share": TAIL_SHARE, "seconds": lora.seconds},
        ),
    )


def _checked_methods(methods: Sequence[str], seconds: float | None) -> tuple[str, ...]:
    unknown = [method for method in methods if method not in NEXT_TOKEN_METHODS]
    if unknown:
        raise InputError(f"Unknown method {', '.join(unknown)}; there are {', '.join(NEXT_TOKEN_METHODS)}.")
    if "lora" in methods and seconds is None and not set(CALIBRATIONS) & set(methods):
        raise InputError(f"LoRA has no time to go by. Give seconds, or one of the methods {', '.join(CALIBRATIONS)}.")
    return tuple(method for method in NEXT_TOKEN_METHODS if method in methods or method == "frozen")


def _documents(texts: str | Sequence[str], what: str) -> list[str]:
    documents = [text for text in ([texts] if isinstance(texts, str) else texts) if text]
    if not documents:
        raise DataError(f"The {what} text is empty. Give at least one document.")
    return documents


def _frozen_head(model: NextTokens) -> NextTokenHead:
    arrays = model.head()
    return NextTokenHead(arrays.unembedding, arrays.bias, arrays.soft_cap)


def _losses(head: NextTokenHead, known: NextTokenStates, rows: slice = slice(None)) -> Float[np.ndarray, " n_positions"]:
    return next_token_losses(known.states[rows], known.next_ids[rows], head)


def _fit_calibration(method: str, head: NextTokenHead, known: NextTokenStates, asked: NextTokenStates, seed: int) -> _Fit:
    started = time.perf_counter()
    calibration = NextTokenCalibration(
        head.unembedding, bias=head.bias, soft_cap=head.soft_cap, method=method, tail_share=TAIL_SHARE, random_state=seed
    ).fit(known.states, known.next_ids)
    fitted = time.perf_counter()
    losses = calibration.losses(asked.states, asked.next_ids)
    done = time.perf_counter()
    return _Fit(losses, calibration.tail_loss_, fitted - started, done - fitted, calibration.n_parameters_, calibration.choices_)


def _fit_neighbors(head: NextTokenHead, known: NextTokenStates, asked: NextTokenStates) -> _Fit:
    started = time.perf_counter()
    frozen_tail = _losses(head, known, slice(tail_start(len(known), TAIL_SHARE), None))
    model, tail_loss = fit_neighbors(known.states, known.next_ids, frozen_tail)
    fitted = time.perf_counter()
    losses = model.losses(asked, _losses(head, asked))
    done = time.perf_counter()
    choices = {"n_neighbors": model.n_neighbors, "temperature": model.temperature, "weight": model.weight}
    return _Fit(losses, tail_loss, fitted - started, done - fitted, known.states.size + known.next_ids.size, choices)


def _training_windows(model: NextTokens, documents: Sequence[str], context: int) -> list[np.ndarray]:
    """Ids of the documents in pieces that predict `context` tokens at most, each token once."""
    ids, _ = model.documents(documents)
    return [sequence[start : stop + 1] for sequence in ids for start, stop, _ in windows_of(len(sequence) - 1, context, context)]


def _fit_lora(
    model: NextTokens,
    head: NextTokenHead,
    windows: list[np.ndarray],
    held_out: Sequence[str],
    options: dict[str, Any],
    seconds: float,
    seed: int,
) -> _Fit:
    predicted = np.cumsum([len(window) - 1 for window in windows])
    cut = min(max(1, int(np.searchsorted(predicted, (1 - TAIL_SHARE) * predicted[-1]))), len(windows) - 1)
    runs: list[LoraRun] = []

    def train(frozen: Any) -> Any:
        runs.append(train_lora(frozen, windows[:cut], windows[cut:], seconds=seconds, seed=seed))
        return runs[-1].model

    trained = model.trained(train)
    (run,) = runs
    started = time.perf_counter()
    losses = _losses(head, read_next_tokens(trained, held_out, **options))
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
