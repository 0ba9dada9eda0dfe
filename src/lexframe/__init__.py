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
        "audit": ["CategoryAudit", "CategoryTree", "audit_memberships", "audit_points"],
        "data": ["WordVectors", "desk", "read_edges", "read_questions", "read_table", "read_word_vectors"],
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
            "choose_steering",
            "evaluate_analogies",
            "find_direction",
            "fit_tuned_lens",
            "frame_direction",
            "load_direction",
            "save_direction",
            "solve_analogy",
            "steer",
            "steered",
            "trace",
            "vocabulary_vectors",
        ],
        "latents": ["LatentStore", "NeighborIndex", "TextEncoder", "encode_to_store", "import_vectors"],
        "spaces": ["LanguageModelSpace", "SentenceEncoderSpace", "TextVAESpace", "ToySpace", "open_space"],
    },
)
