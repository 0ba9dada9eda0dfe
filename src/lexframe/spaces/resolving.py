"""From what people call a model to a folder that holds it, or to its name on the hub."""

from pathlib import Path

from lexframe.exceptions import ModelError
from lexframe.spaces.catalogue import wheel_of
from lexframe.spaces.gguf.opening import from_gguf
from lexframe.spaces.hub import hub_file, is_hub_name
from lexframe.spaces.loading import ADAPTER, EMBEDDED, EMBEDDED_VAE, embedded_model_folder

GGUF = ".gguf"


def resolve_model(name_or_path: str, *, revision: str | None = None) -> str:
    """The folder that holds a model, or its name on the hub; a GGUF file is read and kept on the way.

    Parameters
    ----------
    name_or_path : str
        A name of :data:`~lexframe.spaces.catalogue.NAMED`, a folder, a GGUF file, a hub id, or ``hub/id:file.gguf``.
    revision : str, optional
        Of a GGUF file on the hub.

    Raises
    ------
    ModelError
        If the name is a path to nothing, to a file of another kind, or to a folder without a model; or a wheel is missing or another one.
    """
    if name_or_path == EMBEDDED:
        return str(embedded_model_folder())
    if name_or_path == EMBEDDED_VAE:
        raise ModelError(f"{EMBEDDED_VAE} is a text VAE and no language model. Use it where a text VAE is asked for, or name '{EMBEDDED}'.")
    named = wheel_of(name_or_path)
    if named is not None:
        place = named.checked()
        return str(from_gguf(place, sha256=named.sha256) if place.suffix == GGUF else place)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _of_folder(path, name_or_path)
    if path.is_file():
        if path.suffix.lower() == GGUF:
            return str(from_gguf(path))
        raise ModelError(f"{name_or_path} is a file. Name a GGUF file, or the folder that holds config.json and the safetensors weights.")
    if name_or_path.lower().endswith(GGUF):
        return str(from_gguf(_on_the_hub(name_or_path, revision)))
    if path.is_absolute() or name_or_path.startswith((".", "~")) or name_or_path.count("/") > 1 or name_or_path.endswith("/"):
        raise ModelError(f"{name_or_path}: no such folder. Name a folder with a model, a hub id such as 'gpt2', or '{EMBEDDED}'.")
    return name_or_path


def _of_folder(path: Path, name: str) -> str:
    if (path / ADAPTER).is_file() or (path / "config.json").is_file():
        return str(path)
    # What begins with mmproj reads pictures, and stands beside the model of a model of pictures and texts.
    files = sorted(each for each in path.iterdir() if each.suffix.lower() == GGUF and not each.name.lower().startswith("mmproj"))
    if len(files) > 1:
        shown = ", ".join(each.name for each in files[:6])
        raise ModelError(f"{name} holds {len(files)} GGUF files ({shown}{', …' if len(files) > 6 else ''}). Name one of them.")
    if not files:
        raise ModelError(f"{name} is a folder without config.json and without a GGUF file, so it holds no model. Name the folder of one.")
    return str(from_gguf(files[0]))


def _on_the_hub(name: str, revision: str | None) -> Path:
    """A GGUF file of a model on the hub, from its cache where the hub cannot be reached."""
    model, colon, file = name.rpartition(":")
    if not (colon and is_hub_name(model)):
        raise ModelError(f"{name}: no such file. Name a GGUF file, or one of a model on the hub as 'people/model:file.gguf'.")
    found = hub_file(model, file, revision=revision)
    if found is None:
        raise ModelError(
            f"{model!r} has no file {file} that could be fetched from the hub, and the cache does not hold it. "
            "Check the names and the network, or name a local file."
        )
    return found
