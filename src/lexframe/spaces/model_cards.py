"""What is known of the models that ship with the package, read from the cards beside their weights."""

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lexframe.exceptions import ModelError


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the card of a model says.

    Attributes
    ----------
    name : str
        As :func:`lexframe.open_space` takes it.
    use : str
        What kind of model it is, and what for.
    megabytes : float
        Of its weights on disk.
    licence : str
    folder : pathlib.Path
    """

    name: str
    use: str
    megabytes: float
    licence: str
    folder: Path


def shipped_models() -> list[ModelCard]:
    """The models that ship with the package, by name.

    Raises
    ------
    ModelError
        If one has no card that can be read: the package is not whole.
    """
    folder = Path(str(resources.files("lexframe") / "models"))
    return [read_card(path) for path in sorted(folder.iterdir()) if path.is_dir() and (path / "README.md").exists()]


def read_card(folder: Path) -> ModelCard:
    """The card of a model in a folder: the first sentence after its title, and the row ``licence`` of its table.

    Parameters
    ----------
    folder : pathlib.Path
        With a README.md and safetensors.

    Raises
    ------
    ModelError
        If the card does not say what the model is for, or under which licence.
    """
    text = (folder / "README.md").read_text(encoding="utf-8")
    use = re.match(r"# [^\n]+\n\n(.+?)[.:](?=\s)", text, re.S)
    licence = re.search(r"^\| licence \| (.+?) *[;|]", text, re.M)
    if use is None or licence is None:
        raise ModelError(f"{folder / 'README.md'} does not say what the model is for and under which licence. Install the package again.")
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return ModelCard(folder.name, " ".join(use[1].replace("`", "").split()) + ".", size / 1e6, licence[1], folder)
