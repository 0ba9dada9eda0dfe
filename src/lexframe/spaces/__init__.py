"""Spaces turn texts into points."""

import importlib
from typing import Any

_HOME = {
    "DecodableSpace": "base",
    "HeadMove": "base",
    "HeadSpace": "base",
    "LanguageModelSpace": "language_model",
    "LatentVariableSpace": "base",
    "LensSpace": "base",
    "PatchableSpace": "base",
    "Posterior": "base",
    "SentenceEncoderSpace": "sentence_encoder",
    "Space": "base",
    "StateMove": "base",
    "SteerableSpace": "base",
    "TextVAESpace": "text_vae",
    "TokenSpace": "base",
    "TokenStates": "base",
    "ToySpace": "toy",
    "VocabularySpace": "base",
    "open_space": "registry",
    "reopen_space": "registry",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # Names load their module on first use: the toy space and the contracts cost no torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"lexframe.spaces.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lexframe.spaces' has no attribute {name!r}")
