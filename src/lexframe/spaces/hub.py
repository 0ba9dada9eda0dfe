"""Files of models on the hub, from its cache where the hub cannot be reached."""

from pathlib import Path

from lexframe.exceptions import ModelError
from lexframe.spaces.catalogue import NAMED
from lexframe.spaces.loading import without_network

_WANTED = ("*.json", "*.jsonl", "*.txt", "*.model", "*.safetensors", "*.jinja", "*.py")
_UNWANTED = ("onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*")


def is_hub_name(model: str) -> bool:
    """Whether a name may be that of a model on the hub: no folder, no file, no path and none of the package's own.

    Parameters
    ----------
    model : str
        As people give it.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    if model in NAMED or Path(model).exists() or model.startswith(("~", ".")):
        return False
    try:
        validate_repo_id(model)
    except HFValidationError:
        return False
    return True


def hub_file(model: str, name: str, *, revision: str | None = None) -> Path | None:
    """A file of a model on the hub; None where there is none, or the hub cannot be asked and the cache does not hold it.

    Parameters
    ----------
    model : str
        Such as ``"sentence-transformers/all-MiniLM-L6-v2"``.
    name : str
        Of the file.
    revision : str, optional
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    if without_network(model):
        found = try_to_load_from_cache(model, name, revision=revision)
        return Path(found) if isinstance(found, str) else None
    try:
        return Path(hf_hub_download(model, name, revision=revision))
    except (OSError, ValueError):  # no such file or no such model; whoever opens it says so
        return None


def hub_folder(model: str, *, revision: str | None = None) -> str:
    """A local folder with what a model on the hub needs: configuration, tokenizer and safetensors.

    Parameters
    ----------
    model : str
        Such as ``"sentence-transformers/all-MiniLM-L6-v2"``.
    revision : str, optional

    Raises
    ------
    ModelError
        If it can neither be fetched nor found in the cache.
    """
    from huggingface_hub import snapshot_download

    try:
        return str(
            snapshot_download(
                model,
                revision=revision,
                local_files_only=without_network(model),
                allow_patterns=list(_WANTED),
                ignore_patterns=list(_UNWANTED),
            )
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{model!r} could not be fetched from the hub, and the cache does not hold it: {str(error).strip().splitlines()[0][:200]} "
            "Check the name and the network, or name a local folder."
        ) from error
