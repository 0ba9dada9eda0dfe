"""Writing on from a text with the model's own ``generate``, in batches of prompts that have the same length.

Prompts of one length need no padding, so neither its side nor its token can change what is written.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
    if not (hasattr(model, "generate") and getattr(model, "can_generate", bool)()):
        raise InputError(f"{type(model).__name__} does not write texts. Use a causal language model, such as 'embedded' or 'gpt2'.")
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens is {max_new_tokens}; expected 1 or more.")
    for number, ids in enumerate(prompts):
        if len(ids) >= longest:
            raise InputError(f"Prompt number {number} has {len(ids)} tokens, which leaves a model that takes {longest} no room to write.")
    answers = [""] * len(prompts)
    device = next(model.parameters()).device
    with evaluation_mode(model), as_asked(model):
        for rows in progress(_batches(prompts, decoding.batch_size or 32)):
            batch = torch.from_numpy(np.stack([prompts[row] for row in rows])).to(device)
            length = batch.shape[1]
            # What is drawn does not depend on when another batch came to its end.
            with seeded(decoding.seed + rows[0]), of_others(model, f"write on from prompts of {length} tokens"):
                written = model.generate(
                    input_ids=batch,
                    attention_mask=torch.ones_like(batch),
                    max_new_tokens=min(max_new_tokens, longest - length),
                    pad_token_id=_end_of_text(model, tokenizer),
                    return_dict_in_generate=False,
                    num_return_sequences=1,
                    **_sampling(decoding),
                    **({} if stop is None else {"eos_token_id": [*_own_ends(model), stop]}),
                )
            for row, answer in zip(rows, written[:, length:].tolist(), strict=True):
                answers[row] = written_after(tokenizer, prompts[row].tolist(), answer)
    return answers


def _batches(prompts: Sequence[np.ndarray], most: int) -> list[list[int]]:
    """Rows of equal length together, at most so many."""
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


def _own_ends(model: Any) -> list[int]:
    own = getattr(model.generation_config, "eos_token_id", None)
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
