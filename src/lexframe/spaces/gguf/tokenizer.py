"""The tokenizer of a GGUF file: as transformers reads it, with what it leaves out.

A file names the rule by which its byte-level tokenizer cuts a text before it joins pieces (``tokenizer.ggml.pre``). transformers knows some
of the names and takes GPT-2's rule for all others, without a word: SmolLM's digits, which stand alone, would be read as numbers
that the model has never seen. The rules are those of ``llama-vocab.cpp`` in llama.cpp.
"""

import json
import re
from pathlib import Path
from typing import Any

from lexframe.exceptions import ModelError
from lexframe.files import json_text
from lexframe.spaces.gguf.header import GGUFHeader

_KNOWN_HERE = frozenset({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "dbrx", "smaug-bpe"}) | {
    "tekken", "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "qwen35", "gpt-4o", "llama4", "kanana2", "minimax-m2",
}  # fmt: skip
"""Rules that transformers has."""

_LIKE_GPT2 = frozenset({"gpt-2", "gpt2", "mpt", "olmo", "jais", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de"}) | {
    "jina-v1-en", "jina-v2-code", "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "exaone4", "trillion", "granite-docling",
}  # fmt: skip
_DIGITS_ALONE = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"})
"""GPT-2's rule after every digit has been cut off on its own."""
_LIKE_QWEN = frozenset({"stablelm2", "hunyuan"})

_NORMAL, _UNUSED = 1, 5
"""Types of tokens."""
_BLANK = "▁"
"""How a tokenizer of SentencePiece writes a blank."""
_PADS = re.compile(r"\[PAD\d+\]")

_WHOLE_WORDS = frozenset({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken"})
"""Where a piece that is an item of the vocabulary is that item, whatever the merges would make of it."""
_BEGINS = _WHOLE_WORDS
"""Where a text begins with the token for it, unless the file says otherwise."""


def read_tokenizer(header: GGUFHeader) -> Any:
    """The tokenizer of a file.

    Parameters
    ----------
    header : GGUFHeader

    Returns
    -------
    PreTrainedTokenizerFast

    Raises
    ------
    ModelError
        If it is of a kind that transformers does not read, or cuts texts by a rule that is not known.
    """
    from transformers import AutoTokenizer

    kind, rule = header.keys.get("tokenizer.ggml.model"), header.keys.get("tokenizer.ggml.pre")
    if kind is None:
        raise ModelError(f"{header.path} holds no tokenizer (tokenizer.ggml.model). Convert the model again, with its tokenizer beside it.")
    if kind == "gpt2":
        _require_rule(header.path, rule, header.architecture)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(header.path.parent), gguf_file=header.path.name, local_files_only=True)
    except Exception as error:  # whatever a file's lists make of it
        line = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise ModelError(
            f"{header.path} has a tokenizer that transformers does not read ({kind}: {line}). "
            "Name a folder of the model with its tokenizer.json instead."
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{header.path} has a tokenizer that gives no character offsets. Name a folder with its tokenizer.json instead.")
    tokenizer = _of_the_file(tokenizer, header)
    if kind == "gpt2":
        _mend_byte_level(tokenizer, rule or "gpt-2")
    if kind == "llama" and not header.architecture.startswith("gemma"):  # whose builder knows its blanks
        _mend_blanks(tokenizer, add=bool(header.keys.get("tokenizer.ggml.add_space_prefix", True)))
    _mend_beginnings(tokenizer, header, begins=kind == "llama" or rule in _BEGINS)
    return tokenizer


def _require_rule(path: Path, rule: Any, architecture: str) -> None:
    known = _KNOWN_HERE | _LIKE_GPT2 | _DIGITS_ALONE | _LIKE_QWEN
    if rule in known or (rule in (None, "default") and architecture == "gpt2"):
        return
    what = (
        "does not say by which rule its tokenizer cuts texts"
        if rule is None
        else f"cuts texts by the rule {rule!r}, which is not known here"
    )
    raise ModelError(
        f"{path} {what} (tokenizer.ggml.pre), and another rule would give other tokens. Name a folder of the model with its "
        "tokenizer.json, or convert the file again with llama.cpp of today."
    )


def _of_the_file(tokenizer: Any, header: GGUFHeader) -> Any:
    """The same tokenizer with the items of the file and no others.

    transformers adds an end of text of its own where the file has another, behind the last row of the model. A file names rows
    that only pad the model ``[PAD…]``; no text has them.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    items = header.keys.get("tokenizer.ggml.tokens") or []
    types = header.keys.get("tokenizer.ggml.token_type") or [_NORMAL] * len(items)
    last = max((each for each, kind in enumerate(types) if kind != _UNUSED), default=-1)
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    parts["added_tokens"] = [each for each in parts["added_tokens"] if each["id"] < len(items)]
    if isinstance(parts["model"].get("vocab"), dict):
        own = {name: each for name, each in parts["model"]["vocab"].items() if each <= last or not _PADS.fullmatch(name)}
        parts["model"]["vocab"] = {name: each for name, each in own.items() if each < len(items)}
    known = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    special = [each["content"] for each in parts["added_tokens"] if each["special"]]
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json_text(parts)),
        extra_special_tokens=[each for each in special if each not in known.values()],
        chat_template=header.keys.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        **known,
    )


def _mend_byte_level(tokenizer: Any, rule: str) -> None:
    from tokenizers import Regex, pre_tokenizers

    backend = tokenizer.backend_tokenizer
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if rule in _DIGITS_ALONE:
        backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level])
    elif rule in _LIKE_GPT2:
        backend.pre_tokenizer = level
    elif rule in _LIKE_QWEN:
        from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    if rule in _WHOLE_WORDS:
        model = backend.model
        model.ignore_merges = True
        backend.model = model


def _mend_blanks(tokenizer: Any, *, add: bool) -> None:
    """A blank before every stretch of text, also before one that begins with a blank, or before none, as the file says."""
    from tokenizers import decoders, normalizers

    backend = tokenizer.backend_tokenizer
    replaced = normalizers.Replace(" ", _BLANK)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(_BLANK), replaced]) if add else replaced
    backend.pre_tokenizer = None
    parts = [decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if add else parts)


def _mend_beginnings(tokenizer: Any, header: GGUFHeader, *, begins: bool) -> None:
    """Begin and end texts as the file says; where it does not say, as llama.cpp does."""
    first = header.keys.get("tokenizer.ggml.add_bos_token", begins)
    last = header.keys.get("tokenizer.ggml.add_eos_token", False)
    tokenizer.add_bos_token = bool(first) and tokenizer.bos_token is not None
    tokenizer.add_eos_token = bool(last) and tokenizer.eos_token is not None
