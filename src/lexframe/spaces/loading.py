"""Opening models: from the package itself, a local folder or a hub, and refusing what should not be opened."""

import functools
import json
import os
import re
import socket
import urllib.parse
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from lexframe.exceptions import InputError, ModelError

EMBEDDED = "embedded"
"""Name of the language model that ships with the package."""

ADAPTER = "adapter_config.json"
"""What a folder of peft holds in place of a model."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


EMBEDDED_VAE = "embedded-vae"
"""Name of the text VAE that ships with the package."""


def embedded_model_folder() -> Path:
    """Folder of the language model that ships with the package."""
    return _shipped(EMBEDDED)


def embedded_vae_folder() -> Path:
    """Folder of the text VAE that ships with the package."""
    return _shipped(EMBEDDED_VAE)


def _shipped(name: str) -> Path:
    return Path(str(resources.files("lexframe") / "models" / name))


def torch_dtype(name: str) -> torch.dtype:
    """The dtype of that name.

    Raises
    ------
    InputError
        If it is not a precision that models run in.
    """
    if name not in _DTYPES:
        raise InputError(f"dtype is {name!r}; expected one of {', '.join(_DTYPES)}.", parameter="dtype")
    return _DTYPES[name]


def chosen_device(device: Any = None) -> torch.device:
    """Where a model goes: the device that is asked for, else the first GPU, else the CPU.

    Raises
    ------
    InputError
        If there is no such device here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(device)
        torch.empty(1, device=where)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            f"device is {str(device)!r}, which this machine or its torch does not have ({_first_line(error)[:80]}). "
            "Use 'cpu', or leave it out: the first GPU is taken where there is one.",
            parameter="device",
        ) from error
    if where.type == "meta":
        raise InputError("device is 'meta', which holds no numbers. Use 'cpu', or leave it out.", parameter="device")
    return where


def language_model_class(config: Any, name: str) -> Any:
    """The class of transformers that opens a model with its head.

    Raises
    ------
    ModelError
        If it is neither a causal nor a masked language model.
    """
    import transformers
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    architectures = config.architectures or []
    if getattr(config, "is_encoder_decoder", False) and not any("ForCausalLM" in each for each in architectures):
        raise ModelError(
            f"{name} is an encoder-decoder ({type(config).__name__}): a text has states in two stacks, and its head reads the decoder's. "
            "Open its encoder in Python: LanguageModelSpace(model.get_encoder(), tokenizer=...)."
        )
    causal, masked = (type(config) in auto._model_mapping for auto in (AutoModelForCausalLM, AutoModelForMaskedLM))
    writes = any(_WRITES.search(each) for each in architectures) or getattr(config, "is_decoder", False)
    if any("ForMaskedLM" in each for each in architectures) or (masked and not (causal and writes)):
        return AutoModelForMaskedLM
    if causal:
        return AutoModelForCausalLM
    own = next((getattr(transformers, each, None) for each in architectures if each.endswith("ForCausalLM")), None)
    if own is not None and own.config_class is type(config):  # the text part of a model of pictures and texts
        return own
    raise ModelError(f"{name} is a {type(config).__name__}, neither a causal nor a masked LM. Use SentenceEncoderSpace for other encoders.")


_WRITES = re.compile(r"ForCausalLM|LMHead|ForConditionalGeneration|Decoder$")


def load_config(name_or_path: str, *, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """Configuration of a model, after the checks that need no weights.

    Parameters
    ----------
    name_or_path : str
        As given by :func:`~lexframe.spaces.resolving.resolve_model`.
    revision : str, optional
        Of a hub model.
    trust_remote_code : bool
        Allow the model to bring Python code of its own and run it.

    Returns
    -------
    transformers.PretrainedConfig

    Raises
    ------
    ModelError
        If the folder has no weights or only pickled ones, if the model wants to run its own code, if its kind is
        unknown, or if the hub cannot be reached.
    """
    from transformers import AutoConfig, PretrainedConfig

    folder = Path(name_or_path)
    if folder.is_dir():
        _check_weights(folder)
    try:
        raw, _ = PretrainedConfig.get_config_dict(name_or_path, revision=revision, local_files_only=without_network(name_or_path))
    except (OSError, ValueError) as error:
        raise _cannot_open(name_or_path, error) from error
    if raw.get("auto_map") and not trust_remote_code:
        raise ModelError(
            f"{name_or_path} brings its own Python code ({', '.join(sorted(raw['auto_map']))}), which is not run unless you ask for it. "
            "Read the code, then set trust_remote_code.",
            parameter="trust_remote_code",
        )
    try:
        return AutoConfig.from_pretrained(
            name_or_path, revision=revision, trust_remote_code=trust_remote_code, local_files_only=without_network(name_or_path)
        )
    except (OSError, ValueError, KeyError) as error:
        raise _cannot_open(name_or_path, error) from error


def load_tokenizer(name_or_path: str, *, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a model.

    Raises
    ------
    ModelError
        If there is none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            name_or_path, revision=revision, trust_remote_code=trust_remote_code, local_files_only=without_network(name_or_path)
        )
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise ModelError(
            f"{name_or_path} has no tokenizer that can be opened ({_first_line(error)}). Pass tokenizer=... as an object."
        ) from error


def load_weights(
    auto_class: Any,
    name_or_path: str,
    *,
    dtype: str,
    revision: str | None = None,
    trust_remote_code: bool = False,
    unused: tuple[str, ...] = (),
) -> Any:
    """The model itself, in evaluation mode, from safetensors only.

    Parameters
    ----------
    auto_class : type
        Such as ``AutoModel``.
    name_or_path : str
        As given by :func:`~lexframe.spaces.resolving.resolve_model`.
    dtype : str
        Of the weights.
    revision, trust_remote_code
        See :func:`load_config`.
    unused : tuple of str
        Beginnings of names of weights that may be missing because nothing is computed with them.

    Raises
    ------
    ModelError
        If the weights are missing, damaged, or of another shape than the configuration says.
    """
    model, found = loaded(auto_class, name_or_path, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code)
    missing = [name for name in found if not name.startswith(unused or "\0")]
    if missing:
        raise incomplete(name_or_path, model, missing)
    return model.eval()


def loaded(auto_class: Any, name_or_path: str, *, dtype: str, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """A model, and the names of weights that it needs and the folder lacks; see :func:`load_weights`."""
    from safetensors import SafetensorError

    precision = torch_dtype(dtype)  # a name that is none is said as such, not as a damaged model
    try:
        model, facts = auto_class.from_pretrained(
            name_or_path,
            revision=revision,
            dtype=precision,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            local_files_only=without_network(name_or_path),
        )
    except (OSError, ValueError, RuntimeError, SafetensorError, ImportError, KeyError, TypeError, AttributeError) as error:
        raise _cannot_open(name_or_path, error) from error
    return model, sorted(facts["missing_keys"])


def incomplete(name: str, model: Any, missing: list[str]) -> ModelError:
    """What is said of a folder that lacks weights."""
    # They would have been filled with random numbers, without an error.
    return ModelError(
        f"{name} lacks {len(missing)} weights that {type(model).__name__} needs, such as {missing[0]}. Name a complete model."
    )


@functools.cache
def without_network(name_or_path: str) -> bool:
    """Whether a hub model must come from the cache because its hub cannot be reached.

    One short attempt at a connection: the libraries underneath would try six times, for half a minute, and say so
    each time. Behind a proxy there is nothing to try.
    """
    if Path(name_or_path).is_dir() or any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return False
    from huggingface_hub import constants

    address = urllib.parse.urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((address.hostname or "", address.port or (80 if address.scheme == "http" else 443)), timeout=5).close()
    except OSError:
        return True
    return False


def _check_weights(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.pkl") for path in folder.glob(pattern))
    if pickled:
        raise ModelError(
            f"{folder} holds its weights as a pickle ({pickled[0]}), which can run code when opened. Convert it to safetensors "
            "(model.save_pretrained writes it) and try again."
        )
    raise ModelError(f"{folder} has a config.json but no weights: no *.safetensors file. Download or save the weights there.")


def _cannot_open(name: str, error: Exception) -> ModelError:
    if Path(name).is_dir():
        return ModelError(f"{name} cannot be opened: {_first_line(error)}. Check that its files are whole and belong together.")
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else " (no connection)" if without_network(name) else ""
    return ModelError(
        f"{name!r} is neither a local folder nor a model that could be fetched from the hub{offline}: {_first_line(error)} "
        f"Check the name and the network, name a local folder, or use '{EMBEDDED}', which needs no network."
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
