"""What a language model's latent space means in the model's own vocabulary.

Two ideas carry the package. **Spaces** turn texts into points; **instruments** measure or move points.
Names load on first use, so that importing the package costs neither torch nor transformers.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "LanguageModelSpace": "lexframe.spaces",
    "SentenceEncoderSpace": "lexframe.spaces",
    "ToySpace": "lexframe.spaces",
    "TextVAESpace": "lexframe.spaces",
    "open_space": "lexframe.spaces",
    "edit_texts": "lexframe.generative",
    "interpolate": "lexframe.generative",
    "sample_texts": "lexframe.generative",
    "Retrofitting": "lexframe.instruments",
    "ConceptDirection": "lexframe.instruments",
    "Direction": "lexframe.instruments",
    "VocabularyFrame": "lexframe.instruments",
    "WordVectors": "lexframe.instruments",
    "evaluate_analogies": "lexframe.instruments",
    "solve_analogy": "lexframe.instruments",
    "vocabulary_vectors": "lexframe.instruments",
    "LogisticProbe": "lexframe.instruments",
    "NearestBasis": "lexframe.instruments",
    "PosteriorCalibration": "lexframe.instruments",
    "SemanticCalibration": "lexframe.instruments",
    "ShrinkageLDA": "lexframe.instruments",
    "LatentStore": "lexframe.latents",
    "NeighborIndex": "lexframe.latents",
    "TextEncoder": "lexframe.latents",
    "CategoryAudit": "lexframe.audit",
    "CategoryTree": "lexframe.audit",
    "audit_memberships": "lexframe.audit",
    "audit_points": "lexframe.audit",
    "adapt": "lexframe.evidence",
    "choose_steering": "lexframe.evidence",
    "compare": "lexframe.evidence",
    "encode_to_store": "lexframe.latents",
    "find_direction": "lexframe.instruments",
    "frame_direction": "lexframe.instruments",
    "import_vectors": "lexframe.latents",
    "load_adapter": "lexframe.evidence",
    "read_edges": "lexframe.datasets",
    "read_questions": "lexframe.datasets",
    "load_direction": "lexframe.instruments",
    "read_table": "lexframe.datasets",
    "read_word_vectors": "lexframe.datasets",
    "desk": "lexframe.datasets",
    "save_direction": "lexframe.instruments",
    "fit_tuned_lens": "lexframe.instruments",
    "steer": "lexframe.instruments",
    "steered": "lexframe.instruments",
    "trace": "lexframe.instruments",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'lexframe' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
