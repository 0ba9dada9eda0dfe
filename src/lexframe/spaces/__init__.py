"""Spaces turn texts into points."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "base": [
            "AttentionHeads",
            "DecodableSpace",
            "FittedSpace",
            "HeadIntervention",
            "HeadSpace",
            "LatentVariableSpace",
            "LensHead",
            "LensSpace",
            "NextTokenSpace",
            "OpenableSpace",
            "PatchableSpace",
            "Posterior",
            "PromptSpace",
            "Space",
            "Intervention",
            "SteerableSpace",
            "TokenSpace",
            "TokenStates",
            "VocabularySpace",
        ],
        "decoding": ["Decoding"],
        "language_model.space": ["LanguageModelSpace"],
        "lexical": ["LexicalSpace"],
        "registry": ["open_space", "recognized_kind", "reopen_space", "space_class", "space_kinds"],
        "sentence_encoder": ["SentenceEncoderSpace"],
        "text_vae.space": ["TextVAESpace"],
        "toy": ["ToySpace"],
    },
)
