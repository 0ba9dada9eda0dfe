"""A GGUF file as a folder of transformers: configuration, weights and tokenizer, each with what the reader of transformers leaves out.

transformers reads a file into the classes of its own; what its tables of keys do not name keeps the default of the class, without a
word. Here the shape of the model follows the file, the file's tensors are counted, and what cannot be followed is refused.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from lexframe.exceptions import MissingExtraError, ModelError
from lexframe.files import json_text
from lexframe.spaces.gguf.header import GGUFHeader, cut_short
from lexframe.spaces.gguf.origin import ORIGIN, Origin
from lexframe.spaces.gguf.tokenizer import read_tokenizer

_FREQUENCIES = "rope_freqs.weight"
"""By how much each rotary frequency is divided, where long contexts were learned as Llama 3.1 did."""


def require_gguf() -> Any:
    """The package ``gguf``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise MissingExtraError("gguf", "gguf") from error
    return gguf


def require_reader() -> None:
    """What transformers reads a GGUF file with.

    Raises
    ------
    MissingExtraError
        If a part of it is not installed.
    """
    require_gguf()
    if find_spec("accelerate") is None:
        raise MissingExtraError("accelerate", "gguf")


def quantization(header: GGUFHeader) -> str:
    """How the weights of a file are stored, such as ``Q4_1``: what it says, or else the type of most numbers in its matrices."""
    gguf = require_gguf()
    known = {int(each): each.name.removeprefix("MOSTLY_").removeprefix("ALL_") for each in gguf.LlamaFileType}
    types = {int(each): each.name for each in gguf.GGMLQuantizationType}
    counts = header.type_numbers
    most = types.get(max(counts, key=counts.__getitem__), "unknown") if counts else "F32"
    said = known.get(header.keys.get("general.file_type", -1), "")
    return said if said.startswith(most) else most


def convert(header: GGUFHeader, sha256: str, folder: Path) -> Origin:
    """Write the model of a GGUF file into a folder, as transformers does.

    Quantized weights become bfloat16, and so do those that are bfloat16; a file of 16 or 32 bits a number is kept in float32, so that no
    digit is lost.

    Parameters
    ----------
    header : GGUFHeader
    sha256 : str
        Of the file.
    folder : pathlib.Path
        Empty.

    Returns
    -------
    Origin

    Raises
    ------
    MissingExtraError
        If the package ``gguf`` or ``accelerate`` is not installed.
    ModelError
        If transformers does not know the architecture, the type of the tensors or the tokenizer, or the model that it makes lacks part of
        what is in the file.
    OSError, safetensors.SafetensorError
        If the folder cannot be written.
    """
    require_reader()
    tokenizer = read_tokenizer(header)
    model = read_model(header)
    if len(tokenizer) > (rows := model.get_input_embeddings().weight.shape[0]):
        raise ModelError(f"{header.path} has {len(tokenizer):,} tokens and rows for {rows:,}. Convert the model again.")
    n_parameters = sum(each.numel() for each in {each.data_ptr(): each for each in model.parameters()}.values())
    licence = str(header.keys.get("general.license", ""))
    origin = Origin(header.path.name, sha256, quantization(header), header.architecture, licence, n_parameters)
    with _quietly():
        _save(model, tokenizer, folder)
    (folder / ORIGIN).write_text(json_text(asdict(origin), indent=2) + "\n", encoding="utf-8")
    return origin


def read_model(header: GGUFHeader) -> Any:
    """The model of a file, with its head, in evaluation mode.

    Parameters
    ----------
    header : GGUFHeader

    Raises
    ------
    ModelError
        See :func:`convert`.
    """
    with _quietly():
        return _read_model(header)


def _read_model(header: GGUFHeader) -> Any:
    import transformers

    config = _configuration(header)
    dense = getattr(transformers, "GgufConfig", None)
    how = {} if dense is None else {"quantization_config": dense(dequantize=True)}
    try:
        model, facts = transformers.AutoModelForCausalLM.from_pretrained(
            str(header.path.parent),
            gguf_file=header.path.name,
            config=config,
            dtype=torch.float32 if header.is_plain else torch.bfloat16,
            output_loading_info=True,
            local_files_only=True,
            **how,
        )
    except Exception as error:  # whatever a file makes of it
        raise _not_read(header, error) from error
    if missing := sorted(facts["missing_keys"]):
        raise ModelError(
            f"{header.path} lacks {len(missing)} weights that {type(model).__name__} needs, such as {missing[0]}. Convert it again."
        )
    _require_all_of_it(header, model)
    for holder in (model, model.config):  # it is an ordinary model now, and is written as one
        for name in ("hf_quantizer", "quantization_config", "is_quantized", "quantization_method"):
            if name in vars(holder):
                delattr(holder, name)
    model.config.name_or_path = header.path.name
    return model.eval()


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    except (OSError, SafetensorError):
        raise
    except Exception as error:  # the library of tokenizers raises nothing narrower where a disk is full
        raise OSError(str(error)) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the bars that transformers draws for every step, whatever is asked of it."""
    with redirect_stderr(io.StringIO()):
        yield


def _not_read(header: GGUFHeader, error: Exception) -> ModelError:
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    if "not supported yet" in line and header.architecture in line:
        return ModelError(
            f"{header.path} holds a model of the architecture {header.architecture!r}, which transformers does not read from GGUF. "
            "Name a folder of the same model in safetensors."
        )
    return ModelError(
        f"{header.path} ({header.architecture}) cannot be read by transformers: {line} Name a folder of the same model in safetensors."
    )


def _require_all_of_it(header: GGUFHeader, model: Any) -> None:
    """Stop where transformers has passed over tensors of the file: what it makes would be another model."""
    read = sum(each.numel() for each in {each.data_ptr(): each for each in model.state_dict().values()}.values())
    stored = sum(each.n_elements for each in header.tensors if each.name != _FREQUENCIES)
    if read != stored:
        raise ModelError(
            f"{header.path} holds {stored:,} numbers, but the {type(model).__name__} that transformers makes of it has {read:,}: "
            "part of the file would be passed over. Name a folder of the same model in safetensors."
        )


def _configuration(header: GGUFHeader) -> Any:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(header.path.parent), gguf_file=header.path.name, local_files_only=True)
    except Exception as error:  # whatever a file makes of it
        raise _not_read(header, error) from error
    tensors = {each.name for each in header.tensors}
    _set(config, "head_dim", header.own("attention.key_length"))
    _set(config, "attention_bias", "blk.0.attn_q.bias" in tensors)
    _set(config, "mlp_bias", "blk.0.ffn_up.bias" in tensors)
    for name in ("rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps", "norm_eps", "norm_epsilon"):
        if isinstance(value := getattr(config, name, None), float):
            setattr(config, name, _as_written(value))
    _set(config, "n_positions", header.own("context_length"))
    _set(config, "n_inner", header.own("feed_forward_length"))
    if header.architecture == "llama" and hasattr(config, "sliding_window"):
        config.sliding_window = None  # the file would say so; llama.cpp uses none where it says nothing
    if hasattr(config, "rope_parameters") and "rope.freq_base" not in _read_elsewhere(header):
        config.rope_parameters = _rotary(header, config)
    return config


def _read_elsewhere(header: GGUFHeader) -> tuple[str, ...]:
    """Keys whose meaning in this family is more than one number; the table of transformers stands."""
    mixed = ("gemma3", "gemma4", "gpt-oss", "qwen35", "qwen35moe", "lfm2", "minimax-m2")
    return ("rope.freq_base",) if header.architecture in mixed else ()


def _set(config: Any, name: str, value: Any) -> None:
    """A setting that the class of the configuration knows, where the file states it."""
    if value is not None and hasattr(config, name) and not isinstance(value, list):
        setattr(config, name, value)


def _as_written(number: float) -> float:
    """The number of fewest digits that 32 bits hold in the same way: a file keeps 1e-5 as 9.999999747e-6."""
    return float(str(np.float32(number)))


def _rotary(header: GGUFHeader, config: Any) -> dict[str, Any]:
    """Base, share and stretching of rotary positions.

    Raises
    ------
    ModelError
        If they are stretched in a way that transformers has not under this name.
    """
    found: dict[str, Any] = {"rope_type": "default", "rope_theta": _as_written(header.own("rope.freq_base", 10_000.0))}
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turned = header.own("rope.dimension_count", width)
    if turned != width:
        found["partial_rotary_factor"] = turned / width
    kind, factor = header.own("rope.scaling.type", "none"), header.own("rope.scaling.factor", header.own("rope.scale_linear"))
    first = header.own("rope.scaling.original_context_length")
    if header.tensor(_FREQUENCIES) is not None:
        return found | _llama3(header, turned, found["rope_theta"])
    if any(each.name.startswith("rope_factors_") for each in header.tensors) or kind not in ("none", "linear", "yarn"):
        raise ModelError(
            f"{header.path} stretches its positions ({kind}) in a way that is not read from GGUF. Name a folder of the same model in "
            "safetensors."
        )
    if factor in (None, 0.0, 1.0) or kind == "none":
        return found
    stretched = {"rope_type": kind, "factor": float(factor)}
    if kind == "yarn":
        stretched["original_max_position_embeddings"] = int(first or config.max_position_embeddings)
    return found | stretched


def _llama3(header: GGUFHeader, width: int, theta: float) -> dict[str, Any]:
    """The four numbers of Llama 3.1's stretching, from the divisors that a file holds in their place.

    Its authors have published models with a factor of 8 and of 32; the rest has been the same in all. Numbers that give other divisors
    than those of the file are refused.
    """
    place = header.tensor(_FREQUENCIES)
    assert place is not None  # asked before
    if place.type_number != 0:
        raise cut_short(header.path, why=f"{_FREQUENCIES} is not in float32")
    with header.path.open("rb") as file:
        file.seek(place.offset)
        divisors = np.frombuffer(file.read(4 * place.n_elements), dtype="<f4")
    numbers = {"factor": float(divisors.max()), "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    frequencies = 1.0 / theta ** (np.arange(0, width, 2, dtype=np.float64) / width)
    waves = 2 * math.pi / frequencies
    smooth = (8192 / waves - 1.0) / 3.0
    expected = np.where(waves > 8192, numbers["factor"], np.where(waves < 2048, 1.0, 1 / ((1 - smooth) / numbers["factor"] + smooth)))
    if divisors.shape != expected.shape or not np.allclose(divisors, expected, rtol=1e-3):
        raise ModelError(
            f"{header.path} stretches its positions ({_FREQUENCIES}) in a way that is not read from GGUF. Name a folder of the same model "
            "in safetensors."
        )
    return {"rope_type": "llama3"} | numbers
