"""Opening a language model by name: with its head, its body alone where the folder holds no head, or with an adapter on top."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lexframe.exceptions import MissingExtraError, ModelError
from lexframe.spaces.loading import (
    ADAPTER,
    EMBEDDED,
    chosen_device,
    incomplete,
    language_model_class,
    load_config,
    load_tokenizer,
    load_weights,
    loaded,
)
from lexframe.spaces.resolving import resolve_model

_OTHER_HEAD = re.compile(r"For(Sequence|Token|Image|Multi)\w*Classification|ForQuestionAnswering|ForMultipleChoice|ForRewardModel")
_POOLER = "pooler."


def open_language_model(name: str, *, tokenizer: Any = None, device: Any = None, **how: Any) -> tuple[Any, Any]:
    """A model on its device, and its tokenizer.

    Parameters
    ----------
    name : str
        ``"embedded"`` or another name of 'lexframe models', a folder of a model or of an adapter of peft, a GGUF file, or a hub id.
    tokenizer : PreTrainedTokenizerFast, optional
        Default: the one beside the model.
    device : str or torch.device, optional
    **how
        dtype, revision and trust_remote_code; see :func:`~lexframe.spaces.loading.load_weights`.

    Raises
    ------
    ModelError
        If it cannot be opened.
    """
    where = chosen_device(device)
    source = resolve_model(name, revision=how.get("revision"))
    if (Path(source) / ADAPTER).is_file() and not (Path(source) / "config.json").is_file():
        return _with_adapter(Path(source), tokenizer=tokenizer, device=where, **how)
    shared = {key: value for key, value in how.items() if key != "dtype"}
    config = load_config(source, **shared)
    tokenizer = tokenizer or load_tokenizer(source, **shared)
    return load_language_model(source, config, **how).to(where), tokenizer


def load_language_model(source: str, config: Any, **how: Any) -> Any:
    """The model with its head, or its body alone where the folder holds no weights of such a head.

    Parameters
    ----------
    source : str
        As given by :func:`~lexframe.spaces.resolving.resolve_model`.
    config : transformers.PretrainedConfig
    **how
        See :func:`~lexframe.spaces.loading.load_weights`.

    Raises
    ------
    ModelError
        If weights are missing that states need.
    """
    model, missing = loaded(language_model_class(config, source), source, **how)
    missing = [name for name in missing if _POOLER not in name]  # no state depends on a pooler
    body = getattr(model, model.base_model_prefix, None)
    needed = [name for name in missing if body is None or name.startswith(f"{model.base_model_prefix}.")]
    if needed:
        raise incomplete(source, model, needed)
    # A head for classes has trained the body for something else than the next token, even where the head is tied to the embedding.
    headless = missing or any(_OTHER_HEAD.search(each) for each in config.architectures or [])
    return (body if headless and body is not None else model).eval()


def open_causal_model(model: str = EMBEDDED, *, dtype: str = "float32") -> tuple[Any, Any]:
    """A causal language model and its tokenizer, on the first GPU if there is one.

    Parameters
    ----------
    model : str
        ``"embedded"``, a local folder, a GGUF file, or a hub id such as ``"gpt2"``.
    dtype : {"float32", "bfloat16", "float16"}
        What it runs in.

    Raises
    ------
    ModelError
        If it cannot be opened, or is no causal language model.
    """
    from transformers import AutoModelForCausalLM

    source = resolve_model(model)
    config = load_config(source)
    if any("ForMaskedLM" in name for name in config.architectures or []) or type(config) not in AutoModelForCausalLM._model_mapping:
        raise ModelError(f"{model} is a {type(config).__name__}, which predicts no next token. Use a causal model, such as 'gpt2'.")
    tokenizer = load_tokenizer(source)
    return load_weights(AutoModelForCausalLM, source, dtype=dtype).to(chosen_device()), tokenizer


def _with_adapter(folder: Path, *, tokenizer: Any, device: torch.device, **how: Any) -> tuple[Any, Any]:
    try:
        facts = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        kind, base = facts["peft_type"], facts["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / ADAPTER} cannot be read ({type(error).__name__}). Save the adapter again with peft.") from error
    if kind in ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "MULTITASK_PROMPT_TUNING", "CPT"):
        raise ModelError(f"{folder} holds learned tokens ({kind}), which are no weights of a model. Name the model {base!r} itself.")
    place = next((each for each in (Path(str(base)), folder / str(base)) if each.is_dir()), None)
    if place is None:
        raise ModelError(
            f"{folder} holds an adapter ({kind}) for {base!r}, which is no folder here. Join them where both are (merge_and_unload of "
            "peft, then save_pretrained) and name that folder, or set base_model_name_or_path to the folder of the model."
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} has no *.safetensors file with the weights of the adapter. Save it again with peft, as safetensors.")
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("peft", "peft") from error
    if tokenizer is None and (folder / "tokenizer.json").is_file():
        tokenizer = load_tokenizer(str(folder))
    model, tokenizer = open_language_model(str(place), tokenizer=tokenizer, device=device, **how)
    try:
        with warnings.catch_warnings():  # peft calls what transformers is about to rename
            warnings.simplefilter("ignore", FutureWarning)
            joined = peft.PeftModel.from_pretrained(model, str(folder), use_safetensors=True)
            return joined.merge_and_unload().eval(), tokenizer
    except (ValueError, RuntimeError, KeyError, AttributeError, TypeError, OSError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ModelError(f"The adapter in {folder} does not fit the model in {place}: {line} Name the model it was trained on.") from error


def refuse_packed(model: nn.Module) -> None:
    """Stop at modules whose weights are packed into integers of torch's own, which no state dict shows.

    Raises
    ------
    ModelError
    """
    packed = next((name for name, module in model.named_modules() if ".ao.nn.quantized" in type(module).__module__), None)
    if packed is not None:
        raise ModelError(
            f"{type(model).__name__} has been quantised to int8 ({packed}): its weights are packed and cannot be read or told apart. Pass "
            "it as it was before, in float32 or bfloat16."
        )
