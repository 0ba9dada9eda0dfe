"""The decoder that is trained: made anew from a plan, or with the weights of a model that is trained further."""

import json
from pathlib import Path
from typing import Any

from torch import nn

from lexframe.exceptions import InputError
from lexframe.seeding import seeded
from lexframe.training.language_model.plan import PretrainingPlan


def build_model(plan: PretrainingPlan, tokenizer: Any) -> nn.Module:
    """A Llama decoder with tied embeddings; the projections back into the residual stream start at zero."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=plan.d_model,
        intermediate_size=plan.d_ff,
        num_hidden_layers=plan.n_layers,
        num_attention_heads=plan.n_heads,
        num_key_value_heads=plan.n_heads,
        max_position_embeddings=max(plan.context, 512),
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with seeded(plan.seed):
        model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        nn.init.zeros_(layer.self_attn.o_proj.weight)
        nn.init.zeros_(layer.mlp.down_proj.weight)
    return model


def take_weights(model: nn.Module, tokenizer: Any, name: str) -> None:
    """Copy the weights of the model called `name` into `model`.

    Raises
    ------
    InputError
        If the two differ in shape or in their tokenizers.
    ModelError
        If there is no such model.
    """
    from lexframe.spaces.language_model.opening import open_causal_model
    from lexframe.spaces.tokenization import tokenizer_hash

    source, own_tokenizer = open_causal_model(name)
    if tokenizer_hash(own_tokenizer) != tokenizer_hash(tokenizer):
        raise InputError(f"{name} has another tokenizer than this run. Give the folder of {name} as the tokenizer.")
    try:
        model.load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise InputError(f"{name} has another shape than the plan. Give the same layers, width, heads and inner width.") from error


def training_record(name: str) -> dict[str, Any] | None:
    """What `training.json` in a model's folder says of how it was trained; None where there is none."""
    from lexframe.spaces.resolving import resolve_model

    path = Path(resolve_model(name)) / "training.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
