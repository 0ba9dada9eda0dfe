"""Which models can be opened here without a download, and which are one line of pip away."""

import hashlib
import json
import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from lexframe.exceptions import ModelError
from lexframe.spaces.catalogue import NAMED, NamedModel
from lexframe.spaces.model_cache import is_kept
from lexframe.spaces.model_cards import ModelCard, shipped_models

_FRONT = re.compile(r"\A---\n(.*?)\n---", re.S)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that can be opened by a name.

    Attributes
    ----------
    name : str
    kind : str
        Of the space that opens it; empty where that is not known without opening it.
    n_parameters : int or None
        None where that is not known.
    megabytes : float
        Of its weights on disk; 0 where it is not here.
    licence : str
    hash : str
        The sha256 of its weights, or of a model of the hub its commit.
    source : str
        Where its weights come from.
    is_here : bool
    install : str
        The line that brings it; empty where it is here.
    use : str
        What it is, and what for.
    """

    name: str
    kind: str
    n_parameters: int | None
    megabytes: float
    licence: str
    hash: str
    source: str
    is_here: bool
    install: str
    use: str


def named_models() -> list[ListedModel]:
    """The models that have names of their own, whether they are here or not."""
    cards = {card.name: card for card in shipped_models()}
    return [_shipped(named, cards[named.name]) if named.name in cards else _of_wheel(named) for named in NAMED.values()]


def hub_models() -> list[ListedModel]:
    """Models in the cache of the hub that have weights in a form that is opened, by name; nothing is asked of the hub."""
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    try:
        repositories = sorted(scan_cache_dir(constants.HF_HUB_CACHE).repos, key=lambda each: each.repo_id)
    except (CacheNotFound, OSError, ValueError):
        return []
    found = []
    for each in repositories:
        revisions = sorted(each.revisions, key=lambda one: -one.last_modified)
        if each.repo_type == "model" and revisions:
            found += _of_snapshot(each.repo_id, Path(revisions[0].snapshot_path), revisions[0].commit_hash)
    return found


def parameters_of(weights: list[Path]) -> int | None:
    """Numbers in safetensors files, from their headers alone; None where one cannot be read.

    Parameters
    ----------
    weights : list of pathlib.Path
    """
    total = 0
    for path in weights:
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(length)) if length < 100_000_000 else None
        except (OSError, ValueError, struct.error):
            return None
        if not isinstance(header, dict):
            return None
        total += sum(math.prod(each["shape"]) for name, each in header.items() if name != "__metadata__")
    return total if weights else None


def _shipped(named: NamedModel, card: ModelCard) -> ListedModel:
    weights = sorted(card.folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in weights:
        digest.update(path.read_bytes())
    return ListedModel(
        card.name, named.kind, parameters_of(weights), card.megabytes, card.licence, digest.hexdigest(), named.source, True, "", card.use
    )


def _of_wheel(named: NamedModel) -> ListedModel:
    path = named.path
    weights = None if path is None else path / named.weights if named.weights else path
    size = weights.stat().st_size if weights is not None and weights.is_file() else 0
    here, install = True, ""
    if named.package:
        try:
            named.checked()
        except ModelError as error:
            here, install = False, str(error).rpartition("with: ")[2]
        if here and named.install_line.endswith(" gguf") and not is_kept(named.sha256):
            here, install = False, "pip install 'lexframe[gguf]'"
    source = f"{named.source}; wheel {named.package} {named.version}" if named.package else named.source
    return ListedModel(
        named.name, named.kind, named.n_parameters or None, size / 1e6, named.licence, named.sha256, source, here,
        install, named.use,
    )  # fmt: skip


def _of_snapshot(name: str, folder: Path, commit: str) -> list[ListedModel]:
    weights = sorted(folder.glob("*.safetensors"))
    licence = _licence(folder)

    def listed(what: str, kind: str, n_parameters: int | None, files: list[Path]) -> ListedModel:
        size = sum(each.stat().st_size for each in files) / 1e6
        return ListedModel(what, kind, n_parameters, size, licence, commit, "cache of the Hugging Face hub", True, "", "")

    if (folder / "modules.json").is_file() and weights:
        return [listed(name, "sentence-encoder", parameters_of(weights), weights)]
    if (folder / "config.json").is_file() and weights:
        return [listed(name, "language-model", parameters_of(weights), weights)]
    files = sorted(each for each in folder.rglob("*") if each.suffix.lower() == ".gguf" and each.is_file())
    return [listed(f"{name}:{each.relative_to(folder)}", "language-model", None, [each]) for each in files]


def _licence(folder: Path) -> str:
    """What the card of a model on the hub says, where it is here."""
    try:
        front = _FRONT.match((folder / "README.md").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    said = re.search(r"^license:[ \t]*['\"]?([^\s'\"]+)", front[1], re.M) if front else None
    return said[1] if said else ""
