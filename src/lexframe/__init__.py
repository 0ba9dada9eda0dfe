"""What a language model's latent space means in the model's own vocabulary.

Two ideas carry the package. **Spaces** turn texts into points; **instruments** measure or move points.
Names load on first use, so that importing the package costs neither torch nor transformers.
"""

from lexframe.lazy_names import lazy_names

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "adaptation": ["adapt", "compare", "load_adapter"],
        "audit": ["CategoryAudit", "audit_memberships"],
        "data": ["desk", "read_table"],
        "generative": ["edit_texts", "interpolate", "sample_texts"],
        "instruments": [
            "ConceptDirection",
            "Direction",
            "LogisticProbe",
            "NearestBasis",
            "PosteriorCalibration",
            "Retrofitting",
            "SemanticCalibration",
            "ShrinkageLDA",
            "VocabularyFrame",
            "find_direction",
            "fit_tuned_lens",
            "solve_analogy",
            "steer",
            "trace",
        ],
        "latents": ["LatentStore", "NeighborIndex", "TextEncoder", "encode_to_store"],
        "spaces": ["LanguageModelSpace", "SentenceEncoderSpace", "TextVAESpace", "ToySpace", "open_space"],
        "verbal": ["VerbalClassifier", "VerbalRegressor"],
    },
)
