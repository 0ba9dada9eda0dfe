"""Tiny random models of every causal and masked family that the installed transformers knows, and a tokenizer for them.

Configurations are shrunk by the names of their attributes: widths, layers, heads, experts, windows and vocabularies have a few
hundred names among all families, and nearly all of them say what they are.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers.models.auto import modeling_auto

TEXTS = (
    "the cat sat on the mat",
    "a dog",
    "caffè and naïve words, 42 of them",
    "one two three four five six seven eight nine ten",
    "x",
)
N_ROWS = 320
"""Rows of the embedding; the tokenizer knows 300, the others only pad."""
N_DIMS, N_LAYERS, N_HEADS = 32, 3, 4

_SIZES: tuple[tuple[str, int], ...] = (
    (r"^(unpadded_|decoder_)?vocab_size$|^vocab_size_per_layer_input$|_vocab_size$|ngram_vocab_size_base$", N_ROWS),
    (r"_ngram_vocab|hash_byte_group_vocab", 64),
    (r"^(encoder|decoder|num|n)_(hidden_)?layers?$|^num_(encoder|decoder)_layers$|^num_blocks$|^attention_layers$", N_LAYERS),
    (r"^num_layers_per_stack$", N_LAYERS),
    (r"^chunk_size_feed_forward$", 0),
    (r"^mamba_(d_head|head_?dim)$", 16),
    (r"rotary_dim$", 4),
    (r"^mamba_d_ssm$", 64),
    (r"^linear_num_key_heads$|^index_n_heads$", 2),
    (r"^mamba_n(um)?_heads$|^mamba_n_heads$|^n_mamba_heads$", 4),
    (r"^linear_num(_value)?_heads$|heads$|^n_head$", N_HEADS),
    (r"^qk_head_dim$", 16),
    (r"head_dim$|^head_dim$|^d_head$|^dim_head$|^kv_channels$|head_size$|^d_kv$", 8),
    (r"(intermediate|feed_forward|ffn_hidden|hidden_dim|inner|ffn_dim|_ff|^dff)(_size|_dim|_mlp)?$|intermediate_size_mlp", 48),
    (r"max_position_embeddings$|^n_positions$|^n_ctx$|^max_seq_len$|context_length$|model_max_length$|max_target_positions$", 64),
    (r"max_source_positions$", 64),
    (r"experts_per_tok|moe_topk$|moe_k$|^top_k_experts$", 2),
    (r"num_(local_|routed_)?experts$|^n_routed_experts$|moe_num_experts$", 4),
    (r"^(n_group|num_expert_group|topk_group|n_groups)$", 1),
    (r"shared_experts$", 1),
    (r"lora_rank$|adapter_rank$|laurel_rank$|_lowrank$|norm_rank$|embedding_rank$", 8),
    (r"^(sliding_window|sliding_window_size|attention_window|attention_window_size|local_attention|window_size|keep_window_size)$", 8),
    (r"attention_chunk_size$|local_attention_window_len$", 8),
    (r"(chunk_size|block_size)$", 8),
    (r"(d_state|state_size)$", 8),
    (
        r"^(hidden_size|hidden_size_global|d_model|n_embd|dim|emb_dim|embedding_dim|word_embed_proj_dim|attention_hidden_size|lru_width)$",
        N_DIMS,
    ),
    (r"^(input_embedding_size|output_embedding_size|embedding_size|embed_dim|pooler_hidden_size)$", N_DIMS),
    (r"^(true_hidden_size|intra_bottleneck_size|prediction_head_size|adapter_in_dim|adapter_out_dim|adapter_input_size)$", N_DIMS),
    (r"^(time_step_rank|mamba_dt_rank)$", 4),
    (r"_bucket|_max_distance$", 16),
    (r"topk(_blocks)?$", 4),
    (r"^type_vocab_size$", 2),
)
_GROUPED = re.compile(r"(kv_heads|key_value_heads|query_groups)$")
_LISTS = re.compile(
    r"layer_types$|layers_block_type$|indexer_types$|^mlp_|^moe_layers$|no_rope_layers$|_per_layer$|rope_theta$|sparsity_pattern$"
)
_IDS = re.compile(r"_token_id$|_token_index$|^(unk|mask|pad|bos|eos)_index$|_token$")
_LEAVE = object()
_HYBRID = ["linear_attention", "full_attention", "linear_attention"]
_SHARED = ["linear_attention", "hybrid", "linear_attention", "hybrid", "linear_attention"]
OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1], "layer_types": _LEAVE, "layers_block_type": _LEAVE},
    "cohere_compass_text": {
        "rope_parameters": {each: {"rope_type": "default", "rope_theta": 1e4} for each in ("full_attention", "sliding_attention")}
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8}, "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 48}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note_text": {
        "layer_types": ["indexed_attention", "sliding_attention", "indexed_attention"],
        "mlp_layer_types": ["dense", "sparse", "sparse"],
        "per_layer_config": {"01": {"kv_lora_rank": 16, "num_attention_heads": 2, "num_key_value_heads": 2}},
        "head_dim": 16,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8,
    },
    "emu3": {"pad_token_id": 1},
    "esm": {"vocab_size": N_ROWS, "pad_token_id": 1, "mask_token_id": 2, "position_embedding_type": "rotary", "token_dropout": False},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]], "attention_layers": ["global", "local", "global"]},
    "granitemoehybrid": {"layer_types": _HYBRID},
    "hrm_text": {"num_layers_per_stack": _LEAVE, "num_hidden_layers": 2},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": 8},
    "mpnet": {"relative_attention_num_buckets": 32},
    "neomme": {"head_dim": 16},
    "nemotron": {"num_key_value_heads": 2},
    "perceiver": {"d_model": 32, "d_latents": 32, "num_latents": 16, "num_self_attends_per_block": 2},
    "qwen4_exp_text": {
        "indexer_budget": 8,
        "indexer_compress_ratio": 4,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
    },
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "lsh", "local"], "hash_seed": 0},
    "causal:reformer": {"is_decoder": True},
    "xlstm": {"hidden_size": 64, "embedding_dim": 64, "qk_dim_factor": 1.0, "v_dim_factor": 1.0},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"layers_block_type": _SHARED, "num_hidden_layers": 5, "attention_hidden_size": 64, "attention_head_dim": 16},
    "zamba2": {
        "layers_block_type": _SHARED,
        "num_hidden_layers": 5,
        **dict.fromkeys(("attention_hidden_size", "attention_head_dim", "kv_channels", "hybrid_layer_ids"), _LEAVE),
    },
    "zaya": {"num_experts_per_tok": 1},
}
"""What a family needs beside."""


def families(kind: str) -> dict[str, str]:
    """Model class of every family, by the name of its configuration; kind is ``causal`` or ``masked``."""
    return dict(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if kind == "causal" else modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)


def small(name: str, value: Any) -> Any:
    """A small value for an attribute of a configuration, or the value itself."""
    if _IDS.search(name):
        if isinstance(value, int) and not isinstance(value, bool):
            return {"pad": 1, "bos": 0, "eos": 0}.get(name[:3], 2)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or isinstance(value, float):
        return value
    for pattern, size in _SIZES:
        if re.search(pattern, name):
            return size
    return value


def shrunk(config: Any, **changes: Any) -> Any:
    """A configuration of the same class with small sizes; lists with an entry a layer are cut."""
    n_layers = getattr(config, "num_hidden_layers", None)
    document = {name: value for name, value in config.to_dict().items() if name not in ("model_type", "transformers_version")}
    inner = dict(config.sub_configs)
    kept: dict[str, Any] = {}
    for name, value in document.items():
        if name in inner:
            part = getattr(config, name, None)
            kept[name] = None if part is None else shrunk(part) if not isinstance(part, Mapping) else part
        elif isinstance(value, list) and (_LISTS.search(name) or (len(value) == n_layers and len(value) > N_LAYERS)):
            kept[name] = [small(name, one) for one in _first(value)]
        elif name == "per_layer_config" and value:
            own = next(iter(value.values()))
            kept[name] = {N_LAYERS - 1: {key: small(key, one) for key, one in own.items()}}
        elif _GROUPED.search(name) and isinstance(value, int):
            kept[name] = N_HEADS if value == document.get("num_attention_heads", value) else N_HEADS // 2
        elif name not in _DERIVED:
            kept[name] = small(name, value)
    kept |= OVERRIDES.get(config.model_type, {}) | changes
    kept = {name: value for name, value in kept.items() if value is not _LEAVE}
    return type(config)(**kept)


_DERIVED = {"rope_parameters_", "architectures", "dtype", "id2label", "label2id"}


def _first(values: list[Any]) -> list[Any]:
    """An entry a layer for few layers, with every kind that there is among them, as far as they go."""
    cut = list(values[:N_LAYERS])
    kinds = list(dict.fromkeys(map(str, values)))
    if len(values) > N_LAYERS and len(set(map(str, cut))) < min(len(kinds), N_LAYERS):
        missing = [next(v for v in values if str(v) == kind) for kind in kinds if kind not in map(str, cut)]
        cut = (cut[: N_LAYERS - len(missing)] + missing)[:N_LAYERS]
    return cut


def build(family: str, kind: str) -> Any:
    """A random model of the family in evaluation mode, with weights large enough that layers and heads matter."""
    config = shrunk(tf.CONFIG_MAPPING[family](), **OVERRIDES.get(f"{kind}:{family}", {}))
    torch.manual_seed(sum(map(ord, family)))
    model = (tf.AutoModelForCausalLM if kind == "causal" else tf.AutoModelForMaskedLM).from_config(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not torch.isfinite(parameter).all():  # left as it was in memory by families that only read weights
                parameter.normal_(0, 0.02)
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "embed" not in name and "wte" not in name and parameter.std() < 0.1:
                parameter.mul_(4)
    return model


@functools.cache
def tokenizer(*, masked: bool) -> Any:
    """A byte-level BPE of 300 tokens, with a special token on both sides for masked models."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>", "<mask>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )  # fmt: skip
    made.train_from_iterator([" ".join(TEXTS)] * 3, trainer)
    if masked:
        made.post_processor = processors.TemplateProcessing(single="<s> $A <s>", special_tokens=[("<s>", 0)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="<s>", pad_token="<pad>", mask_token="<mask>")
