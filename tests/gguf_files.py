"""Tiny GGUF files, written from tiny random models and tokenizers as llama.cpp's own converter does it."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers as tf
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

STRINGS = [
    "the cat sat on the mat",
    "",
    " ",
    "  two blanks, and a tab\tand\n\n  lines",
    "In 1987, 250,000 people paid 3.14 each; 12345678901",
    "caffè naïve Ünïcode ß 漢字 😀 ½ ² ٣٤",
    "it's they'll WE'VE I'd don't",
    "x1y2z3 user_name@example.com https://a.b/c?d=1&e=2",
    "<s> and <pad> and <|end|>",
    "a" * 40,
]
"""Texts in which tokenizers differ: digits, blanks, bytes of several characters, contractions, special tokens."""

_TRAINING = [*STRINGS, "1 12 123 1234 12345 2024 2025 1987 1987 1987 1987 250,000 the 12 cats and 12 dogs of 2024"] * 6
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<s>", "<pad>", "<|end|>"]
_SIZE = {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
_IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
_GQA = {**_SIZE, "num_key_value_heads": 2, "max_position_embeddings": 128}


def _rotary(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


LLAMA31 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
MODELS: dict[str, Any] = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_GQA, **_IDS, **_rotary(50_000.0), rms_norm_eps=1e-5, tie_word_embeddings=False)),
    "llama-tied": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_GQA, **_IDS, **_rotary(10_000.0), tie_word_embeddings=True)),
    "llama-biased": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_GQA, **_IDS, attention_bias=True, mlp_bias=True)),
    "llama-stretched": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_GQA, **_IDS, **_rotary(5e5, **LLAMA31 | {"rope_type": "llama3"}))),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**_GQA, **_IDS, **_rotary(1e6), tie_word_embeddings=True)),
    "qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**_GQA, **_IDS, **_rotary(1e6), head_dim=32)),
    "gemma2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**_GQA, **_IDS, head_dim=32, sliding_window=16, query_pre_attn_scalar=256)),
    "gpt2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=512, n_embd=64, n_layer=2, n_head=4, n_positions=128, n_inner=96, **_IDS)),
}
_ARCHITECTURES = {
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
}


@functools.cache
def model(family: str) -> Any:
    """The tiny model of a family, in evaluation mode, with norms and biases that are not what they begin as."""
    torch.manual_seed(sum(map(ord, family)))
    made = MODELS[family]().eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "embed" not in name and "wte" not in name:
                parameter.mul_(4)
    return made


RULES: dict[str, Any] = {
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    ),
    "llama-bpe": lambda: _split(LLAMA3),
    "qwen2": lambda: _split(QWEN2),
    "stablelm2": lambda: _split(QWEN2),
}
"""How a text is cut before pieces are joined, by the names of llama.cpp."""


def _split(pattern: str) -> Any:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


@functools.cache
def tokenizer(rule: str = "smollm", *, size: int = 400) -> Any:
    """A byte-level tokenizer that cuts by a rule, trained on whole words so that its merges hold pieces that rules cut apart."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = _split(r" ?\S+|\s+"), decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        _TRAINING, trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    )
    made.pre_tokenizer = RULES[rule]()
    if rule == "llama-bpe":
        parts = json.loads(made.to_str())
        # An item that no merges lead to, as in Llama 3's vocabulary.
        parts["model"]["vocab"]["Ġpaid"] = parts["model"]["vocab"].pop(next(each for each in list(parts["model"]["vocab"])[::-1]))
        parts["model"]["merges"] = [each for each in parts["model"]["merges"] if "".join(each) in parts["model"]["vocab"]]
        parts["model"]["ignore_merges"] = True
        made = Tokenizer.from_str(json.dumps(parts))
    return tf.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="<|end|>", pad_token="<pad>")


@functools.cache
def sentence_pieces(*, blank: bool = True) -> Any:
    """A tokenizer as Llama 2's: pieces with their blanks, bytes for letters that are none, and a blank put before a text or not."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    replaced = normalizers.Replace(" ", "▁")
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replaced]) if blank else replaced
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=[*special, *(f"<0x{each:02X}>" for each in range(256))], show_progress=False
    )
    made.train_from_iterator([word for text in _TRAINING for word in re.findall(" ?[^ ]+", text)], trainer)
    parts = json.loads(made.to_str())
    parts["added_tokens"] = [each for each in parts["added_tokens"] if each["content"] in special]
    made = Tokenizer.from_str(json.dumps(parts))
    reading = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*reading, decoders.Strip(" ", 1, 0)] if blank else reading)
    return tf.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def pieces_as_keys(words: Any, *, blank: bool | None) -> dict[str, Any]:
    """What a file says of a tokenizer of :func:`sentence_pieces`: scores in place of merges."""
    known = {index: token for token, index in words.get_vocab().items()}
    merges = json.loads(words.backend_tokenizer.to_str())["model"]["merges"]
    scores = {"".join(pair): -float(rank) for rank, pair in reversed(list(enumerate(merges)))}
    tokens = [known.get(index, f"[PAD{index}]") for index in range(512)]
    types = [2, 3, 3, *[6] * 256, *[1 if index in known else 5 for index in range(259, 512)]]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0 if index < 259 else scores.get(token, -1e6) for index, token in enumerate(tokens)],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": None,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": None,
        "tokenizer.ggml.add_bos_token": None,
        "tokenizer.ggml.add_space_prefix": blank,
    }


def write(
    path: Path,
    family: str = "llama",
    *,
    rule: str | None = "smollm",
    kind: str = "F32",
    change: dict[str, Any] | None = None,
    own: Any = None,
) -> Path:
    """Write a tiny model as a GGUF file.

    Parameters
    ----------
    path
        Of the file.
    family
        One of :data:`MODELS`.
    rule
        One of :data:`RULES`, under which the tokenizer is written too.
    kind
        How matrices are stored: ``F32``, ``F16``, ``BF16``, ``Q8_0`` or ``Q4_1``.
    change
        Keys to write in place of those of the tokenizer and the model; None leaves one out.
    own
        A tokenizer in place of that of the rule.
    """
    source = model(family)
    arch = _ARCHITECTURES.get(family, gguf.MODEL_ARCH.LLAMA)
    name = gguf.MODEL_ARCH_NAMES[arch]
    keys: dict[str, Any] = {**_shape(source.config, name), **_words(own or tokenizer(rule or "smollm"), rule, source.config.vocab_size)}
    keys["general.file_type"] = int(getattr(gguf.LlamaFileType, "ALL_F32" if kind == "F32" else f"MOSTLY_{kind}"))
    keys |= change or {}
    writer = gguf.GGUFWriter(path, str(keys.pop("general.architecture", name)))
    for key, value in keys.items():
        _add(writer, key, value)
    for tensor, array in _tensors(source, arch):
        _store(writer, tensor, array, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shape(config: Any, name: str) -> dict[str, Any]:
    heads, width = config.num_attention_heads, config.hidden_size
    keys = {
        "context_length": config.max_position_embeddings,
        "block_count": config.num_hidden_layers,
        "embedding_length": width,
        "feed_forward_length": getattr(config, "intermediate_size", 0) or config.n_inner,
        "attention.head_count": heads,
    }
    if name == "gpt2":
        return {f"gpt2.{key}": value for key, value in (keys | {"attention.layer_norm_epsilon": config.layer_norm_epsilon}).items()}
    head = getattr(config, "head_dim", None) or width // heads
    keys |= {
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
        "rope.dimension_count": head,
    }
    if name != "llama":
        keys |= {"attention.key_length": head, "attention.value_length": head}
    if name == "gemma2":
        keys["attention.sliding_window"] = config.sliding_window
    return {f"{name}.{key}": value for key, value in keys.items()}


def _words(words: Any, rule: str | None, rows: int) -> dict[str, Any]:
    known = {index: token for token, index in words.get_vocab().items()}
    parts = json.loads(words.backend_tokenizer.to_str())
    special = {each["id"] for each in parts["added_tokens"]}
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": rule,
        "tokenizer.ggml.tokens": [known.get(index, f"[PAD{index}]") for index in range(rows)],
        "tokenizer.ggml.token_type": [3 if index in special else 1 if index in known else 5 for index in range(rows)],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in parts["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": words.bos_token_id,
        "tokenizer.ggml.eos_token_id": words.eos_token_id,
        "tokenizer.ggml.padding_token_id": words.pad_token_id,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": words.chat_template,
    }


def _add(writer: Any, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _tensors(source: Any, arch: Any) -> Any:
    """Names and numbers as a file has them."""
    config = source.config
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    for name, tensor in source.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        stem, _, ending = name.rpartition(".")
        array = tensor.float().numpy()
        if arch is gguf.MODEL_ARCH.LLAMA and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            # llama.cpp turns neighbors in pairs, transformers the two halves of a head
            array = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
        if arch is gguf.MODEL_ARCH.GEMMA2 and "norm" in name:
            array = array + 1
        if arch is gguf.MODEL_ARCH.GPT2 and ("c_attn.weight" in name or "c_proj.weight" in name or "c_fc.weight" in name):
            array = array.T
        yield f"{names.get_name(stem)}.{ending}", np.ascontiguousarray(array)
    if config.rope_parameters and config.rope_parameters.get("rope_type") == "llama3" if arch is gguf.MODEL_ARCH.LLAMA else False:
        yield "rope_freqs.weight", _divisors(config)


def _divisors(config: Any) -> np.ndarray:
    """By how much Llama 3.1 divides each frequency, taken from the frequencies of transformers."""
    width = config.head_dim or config.hidden_size // config.num_attention_heads
    plain = 1.0 / config.rope_parameters["rope_theta"] ** (np.arange(0, width, 2) / width)
    stretched = model("llama-stretched").model.rotary_emb.inv_freq.numpy()
    return (plain / stretched).astype(np.float32)


def _store(writer: Any, name: str, array: np.ndarray, kind: str) -> None:
    if array.ndim < 2 or kind == "F32":
        writer.add_tensor(name, array.astype(np.float32))
        return
    if kind == "F16":
        writer.add_tensor(name, array.astype(np.float16))
        return
    number = gguf.GGMLQuantizationType[kind]
    writer.add_tensor(name, gguf.quants.quantize(array.astype(np.float32), number), raw_dtype=number)
