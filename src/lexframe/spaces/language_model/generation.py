"""Writing on from a text with the model's own ``generate``, in batches of prompts that have the same length.

Prompts of one length need no padding, so neither its side nor its token can change what is written.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lexframe.exceptions import InputError
from lexframe.seeding import seeded
from lexframe.spaces.base import Progress
from lexframe.spaces.decoding import Decoding
from lexframe.spaces.language_model.foreign import of_others
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.token_texts import written_after


def write_on(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[np.ndarray],
    *,
    max_new_tokens: int,
    longest: int,
    decoding: Decoding,
    stop: int | None = None,
    progress: Progress = iter,
) -> list[str]:
    """What a causal model writes after each prompt; see :meth:`lexframe.spaces.base.SteerableSpace.generate`.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : PreTrainedTokenizerFast
    prompts : sequence of ndarray of int64
        Ids, at least one each.
    max_new_tokens, progress
        As there.
    longest : int
        Tokens the model takes, prompt and answer together.
    decoding : Decoding
        Temperature and the like.
    stop : int, optional
        A token at which a text ends, beside those that end one by the model's own settings.

    Returns
    -------
    list of str
    """
    require_writer(model, max_new_tokens)
    for number, ids in enumerate(prompts):
        if len(ids) >= longest:
            raise InputError(f"Prompt number {number} has {len(ids)} tokens, which leaves a model that takes {longest} no room to write.")
    answers = [""] * len(prompts)
    with evaluation_mode(model), as_asked(model):
        ends = [] if stop is None else [*own_ends(model), stop]
        for rows in progress(batches(prompts, decoding.batch_size or 32)):
            alike = [prompts[row] for row in rows]
            most = min(max_new_tokens, longest - len(alike[0]))
            # What is drawn does not depend on when another batch came to its end.
            drawn = replace(decoding, seed=decoding.seed + rows[0])
            for row, answer in zip(rows, written_tokens(model, tokenizer, alike, most=most, decoding=drawn, ends=ends), strict=True):
                answers[row] = written_after(tokenizer, prompts[row].tolist(), answer)
    return answers


def require_writer(model: Any, max_new_tokens: int) -> None:
    """Refuse a model that does not write, or nothing to write.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    max_new_tokens : int

    Raises
    ------
    InputError
        If so.
    """
    if not (hasattr(model, "generate") and getattr(model, "can_generate", bool)()):
        raise InputError(f"{type(model).__name__} does not write texts. Use a causal language model, such as 'embedded' or 'gpt2'.")
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens is {max_new_tokens}; expected 1 or more.")


def written_tokens(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[np.ndarray],
    *,
    most: int,
    decoding: Decoding,
    ends: Sequence[int] = (),
    **more: Any,
) -> list[list[int]]:
    """What ``generate`` writes after prompts of one length, within :func:`as_asked` and evaluation mode.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : PreTrainedTokenizerFast
    prompts : sequence of ndarray of int64
        Of one length.
    most : int
        Tokens of an answer.
    decoding : Decoding
    ends : sequence of int
        Tokens at which an answer ends; none for those of the model's own settings.
    **more
        For ``generate`` beside: what was read before, and what changes scores.

    Returns
    -------
    list of list of int
        Answers that ended before others are filled up with the padding token.
    """
    batch = torch.from_numpy(np.stack(prompts)).to(next(model.parameters()).device)
    length = batch.shape[1]
    with seeded(decoding.seed), of_others(model, f"write on from prompts of {length} tokens"):
        written = model.generate(
            input_ids=batch,
            attention_mask=torch.ones_like(batch),
            max_new_tokens=most,
            pad_token_id=_end_of_text(model, tokenizer),
            return_dict_in_generate=False,
            num_return_sequences=1,
            **_sampling(decoding),
            **({"eos_token_id": list(ends)} if ends else {}),
            **more,
        )
    tokens: list[list[int]] = written[:, length:].tolist()
    return tokens


def batches(prompts: Sequence[np.ndarray], most: int) -> list[list[int]]:
    """Rows of equal length together, at most so many.

    Parameters
    ----------
    prompts : sequence of ndarray
    most : int
        Rows of a batch.
    """
    by_length: dict[int, list[int]] = {}
    for row, ids in enumerate(prompts):
        by_length.setdefault(len(ids), []).append(row)
    return [rows[start : start + most] for rows in by_length.values() for start in range(0, len(rows), most)]


@contextmanager
def as_asked(model: Any) -> Iterator[None]:
    """Within this context ``generate`` does what it is asked for and nothing else.

    What a model's own generation settings say (a repetition penalty, ``min_p``, tokens to suppress, a watermark) would otherwise fill up
    whatever a call leaves open. The numbers of its special tokens stay, so that it ends where it is used to.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Has its own settings again afterwards.
    """
    from transformers import GenerationConfig

    own = model.generation_config
    names = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "use_cache")
    model.generation_config = GenerationConfig(**{name: getattr(own, name, None) for name in names if getattr(own, name, None) is not None})
    try:
        yield
    finally:
        model.generation_config = own


def _sampling(decoding: Decoding) -> dict[str, Any]:
    if decoding.is_greedy:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, "num_beams": 1}
    return {"do_sample": True, "temperature": float(decoding.temperature), "top_p": float(decoding.top_p), "top_k": 0, "num_beams": 1}


def own_ends(model: Any) -> list[int]:
    """Tokens at which a text ends by the model's own settings.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    """
    own = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if own is None else list(own) if isinstance(own, list | tuple) else [own]


def _end_of_text(model: Any, tokenizer: Any) -> int:
    holders: Iterable[Any] = (tokenizer, model.config)
    for name in ("pad_token_id", "eos_token_id", "bos_token_id"):
        for holder in holders:
            value = getattr(holder, name, None)
            if isinstance(value, list):
                value = value[0] if value else None
            if isinstance(value, int) and value >= 0:
                return value
    return 0
