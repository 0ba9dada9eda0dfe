"""Which GGUF file a folder of transformers was read from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ORIGIN = "lexframe-origin.json"
"""Beside the weights: which file they were read from."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which GGUF file a folder was read from.

    Attributes
    ----------
    file : str
        Its name.
    sha256 : str
        Of its bytes.
    quantization : str
        Such as ``Q4_1``.
    architecture : str
    licence : str
        What the file says; empty where it says nothing.
    n_parameters : int
    """

    file: str
    sha256: str
    quantization: str
    architecture: str
    licence: str
    n_parameters: int

    def __str__(self) -> str:
        return f"GGUF {self.quantization}, sha256 {self.sha256}"

    @classmethod
    def of_folder(cls, folder: str | Path) -> "Origin | None":
        """What a folder says of its origin; None where it was not read from a GGUF file."""
        try:
            return cls(**json.loads(Path(folder, ORIGIN).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def source_of(model: Any) -> str:
    """What a fingerprint says of the file that a model was read from; empty where it was none.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    """
    folder = str(getattr(getattr(model, "config", None), "name_or_path", "") or "")
    origin = Origin.of_folder(folder) if folder else None
    return "" if origin is None else str(origin)
