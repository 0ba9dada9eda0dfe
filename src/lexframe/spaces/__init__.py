"""Spaces turn texts into points."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "base": [
            "DecodableSpace",
            "HeadMove",
            "HeadSpace",
            "LatentVariableSpace",
            "LensSpace",
            "PatchableSpace",
            "Posterior",
            "Space",
            "StateMove",
            "SteerableSpace",
            "TokenSpace",
            "TokenStates",
            "VocabularySpace",
        ],
        "language_model.space": ["LanguageModelSpace"],
        "registry": ["open_space", "reopen_space"],
        "sentence_encoder": ["SentenceEncoderSpace"],
        "text_vae.space": ["TextVAESpace"],
        "toy": ["ToySpace"],
    },
)
