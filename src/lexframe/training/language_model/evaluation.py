"""How good a causal language model is: bits per byte, grammatical minimal pairs, and samples to read.

Everything rests on one function, :func:`~lexframe.spaces.language_model.sequence_scores.sequence_log_probabilities`; the rest decides
which texts to score and how to average.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from lexframe.exceptions import DataError, InputError
from lexframe.intervals import ratio_over_items
from lexframe.provenance import Provenance
from lexframe.seeding import seeded
from lexframe.spaces.language_model.generation import as_asked
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.language_model.separator import document_separator
from lexframe.spaces.language_model.sequence_scores import separated_ids, sequence_log_probabilities
from lexframe.spaces.token_texts import written_after
from lexframe.training.language_model.evaluation_result import BitsPerByte, LanguageModelEvaluation
from lexframe.training.language_model.grammatical_pairs import minimal_pairs

Progress = Callable[[Iterable[Any]], Iterable[Any]]

PROMPTS = (
    "The weather this morning",
    "When she opened the old box,",
    "To bake a simple loaf of bread, you",
    "The city lies in the north of",
)
"""What samples go on from, unless other prompts are given."""


@dataclass(frozen=True, slots=True)
class Windows:
    """How a long text is cut for a model that takes only so many tokens.

    Attributes
    ----------
    context : int
        Tokens of a window.
    stride : int or None
        Tokens from the beginning of a window to that of the next; None is half of the context.
    batch_size : int
        Full windows in one pass; shorter ones are more to a pass.
    """

    context: int = 512
    stride: int | None = None
    batch_size: int = 8

    @property
    def step(self) -> int:
        """The stride in tokens."""
        return max(1, self.context // 2) if self.stride is None else self.stride


@dataclass(frozen=True, slots=True)
class EvaluationData:
    """What a language model is evaluated on, one kind at least.

    Attributes
    ----------
    documents : iterable of str or None
        Held-out text, for :func:`bits_per_byte`.
    pairs : sequence of mapping or None
        For :func:`minimal_pairs`.
    prompts : sequence of str or None
        For :func:`sample_continuations`, such as ``PROMPTS``.

    Raises
    ------
    InputError
        If there is nothing.
    """

    documents: Iterable[str] | None = None
    pairs: Sequence[Mapping[str, Any]] | None = None
    prompts: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.documents is None and self.pairs is None and self.prompts is None:
            raise InputError("Nothing to evaluate: give documents (bits per byte), minimal pairs, or prompts for samples.")


def bits_per_byte(
    model: nn.Module,
    tokenizer: Any,
    documents: Iterable[str],
    *,
    windows: Windows | None = None,
    max_bytes: int | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> BitsPerByte:
    r"""Bits per byte of held-out text.

    A document is scored as the document separator (see :func:`~lexframe.spaces.language_model.separator.document_separator`)
    followed by its tokens :math:`t_1 \dots t_n`. The separator is given and never scored, and nothing is scored at the end.
    Windows move on; a token is scored once, in the first window that holds it, so that it sees
    ``context - stride + 1`` tokens or, nearer to the beginning, all that precede it. Over all documents D,

    .. math:: \frac{-\sum_D \sum_i \ln p(t_i \mid \text{window})}{\ln 2 \cdot \sum_D \text{UTF-8 bytes of } D}.

    A tokenizer without either separator leaves the first token of each document unscored, and the bits a little
    too few.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model, in the precision it should be judged in.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer; read only. No special tokens are added but the separator.
    documents : iterable of str
        Empty ones are passed over.
    windows : Windows, optional
        Default: 512 tokens that move on by 256.
    max_bytes : int, optional
        Stop after so many bytes; the last document is cut there, at the end of a character.
    seed : int
        Of the bootstrap.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    BitsPerByte

    Raises
    ------
    DataError
        If there is no text.
    InputError, ModelError
        See :func:`~lexframe.spaces.language_model.sequence_scores.sequence_log_probabilities`.
    """
    windows = windows or Windows()
    texts = [text for text in _first_bytes(documents, max_bytes) if text]
    if not texts:
        raise DataError("There is no text to score: every document is empty. Give held-out documents.")
    sequences = separated_ids(tokenizer, texts)
    log_probabilities = sequence_log_probabilities(
        model,
        sequences,
        context=windows.context,
        stride=windows.step,
        batch_tokens=windows.batch_size * windows.context,
        progress=progress,
    )
    n_bytes = np.array([len(text.encode()) for text in texts])
    bits = -log_probabilities / np.log(2)
    return BitsPerByte(
        bits_per_byte=ratio_over_items(bits, n_bytes.astype(float), seed=seed),
        n_bytes=int(n_bytes.sum()),
        n_tokens=sum(len(ids) - 1 for ids in sequences),
        n_documents=len(texts),
        context=windows.context,
        stride=windows.step,
        provenance=Provenance(seed=seed, parameters={"context": windows.context, "stride": windows.step, "max_bytes": max_bytes}),
    )


def _first_bytes(documents: Iterable[str], max_bytes: int | None) -> Iterator[str]:
    if max_bytes is None:
        yield from documents
        return
    if max_bytes < 1:
        raise InputError(f"max_bytes is {max_bytes}; expected 1 or more, or None for all of the text.")
    left = max_bytes
    for text in documents:
        encoded = text.encode()
        yield encoded[:left].decode(errors="ignore")
        left -= len(encoded)
        if left <= 0:
            return


def sample_continuations(
    model: nn.Module,
    tokenizer: Any,
    *,
    prompts: Sequence[str] = PROMPTS,
    max_new_tokens: int = 40,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
) -> list[dict[str, str]]:
    """Continuations drawn from the model, to be read by people.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model that can generate.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer.
    prompts : sequence of str
        Each has a continuation of its own.
    max_new_tokens : int
        A continuation ends there, or at the end-of-text token.
    temperature, top_p : float
        Of the sampling.
    seed : int
        Of the sampling. The global random state is left as it was.

    Returns
    -------
    list of dict
        With ``prompt`` and ``continuation``.

    Raises
    ------
    InputError
        If temperature or top_p are out of range.
    """
    if temperature <= 0 or not 0 < top_p <= 1:
        raise InputError(f"temperature is {temperature} and top_p {top_p}; expected temperature > 0 and 0 < top_p <= 1.")
    device = next(model.parameters()).device
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    samples = []
    # generate() draws from the global generator and takes no other.
    with seeded(seed), evaluation_mode(model), as_asked(model):
        for prompt, ids in zip(prompts, separated_ids(tokenizer, prompts), strict=True):
            inputs = torch.from_numpy(ids)[None].to(device)
            output = model.generate(  # type: ignore[operator]
                inputs,
                attention_mask=torch.ones_like(inputs),
                do_sample=True,
                temperature=temperature,
                top_p=top_p,
                top_k=0,
                max_new_tokens=max_new_tokens,
                pad_token_id=padding,
            )
            continuation = written_after(tokenizer, ids.tolist(), output[0, len(ids) :].tolist())
            samples.append({"prompt": prompt, "continuation": continuation})
    return samples


def evaluate_language_model(
    model: nn.Module,
    tokenizer: Any,
    data: EvaluationData,
    *,
    name: str,
    windows: Windows | None = None,
    max_bytes: int | None = None,
    seed: int = 0,
    progress: Progress = iter,
) -> LanguageModelEvaluation:
    """Measure what there is data for.

    Parameters
    ----------
    model, tokenizer : PreTrainedModel, PreTrainedTokenizerFast
        What to evaluate.
    data : EvaluationData
        What it is evaluated on.
    name : str
        Of the model, for people.
    windows, max_bytes
        See :func:`bits_per_byte`.
    seed : int
        Of bootstrap and samples.
    progress : callable
        Wraps the iterations over batches.

    Returns
    -------
    LanguageModelEvaluation
    """
    windows, text, pairs, samples = windows or Windows(), None, None, None
    if data.documents is not None:
        text = bits_per_byte(model, tokenizer, data.documents, windows=windows, max_bytes=max_bytes, seed=seed, progress=progress)
    if data.pairs is not None:
        pairs = minimal_pairs(model, tokenizer, data.pairs, seed=seed, progress=progress)
    if data.prompts is not None:
        samples = tuple(sample_continuations(model, tokenizer, prompts=data.prompts, seed=seed))
    return LanguageModelEvaluation(
        model=name,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        bits_per_byte=text,
        blimp=pairs,
        samples=samples,
        provenance=Provenance(
            seed=seed,
            parameters={
                "context": windows.context,
                "stride": windows.stride,
                "max_bytes": max_bytes,
                "separator": _written(tokenizer, document_separator(tokenizer)),
                "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
            },
        ),
    )


def _written(tokenizer: Any, token: int | None) -> str | None:
    return None if token is None else str(tokenizer.convert_ids_to_tokens(token))
