"""Spaces that write: what their latent is used for, samples, paths and edited texts."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "edited_texts": ["EditedTexts", "edit_texts"],
        "interpolation": ["Interpolation", "interpolate", "interpolate_pairs"],
        "reconstructions": ["Reconstructions", "reconstruct_texts"],
        "samples": ["Samples", "sample_texts"],
        "score.active_units": ["ActiveUnits", "active_units", "count_active_units"],
        "score.disentanglement": ["Disentanglement", "disentanglement"],
        "score.factor_probe": ["FactorProbes", "FactorScore", "probe_factors"],
        "score.kl_divergence": ["kl_per_dimension"],
        "score.likelihood_bounds": ["ImportanceWeighted", "LikelihoodBound", "importance_weighted"],
        "score.mutual_information": ["MutualInformation", "mutual_information"],
        "score.position_gain": ["PositionGain", "PositionPoint", "Resolution", "position_gain"],
        "score.rate_distortion": ["RateDistortion", "RatePoint", "rate_distortion", "tempered"],
        "score.vae_score": ["ScoreSettings", "score_text_vae"],
        "score.vae_score_result": ["TextVAEScore"],
        "texts.bleu": ["bleu", "sentence_bleu"],
        "texts.nearest_texts": ["MemorizationCheck", "NearestTexts", "memorization_check", "nearest_texts"],
        "texts.reconstruction": ["exact_match", "word_accuracy"],
        "texts.text_diversity": ["distinct_n", "self_bleu"],
        "texts.text_perplexity": ["TextPerplexity", "language_model_perplexity"],
        "texts.word_edits": ["word_distance", "word_overlap"],
        "traversal": ["Traversal", "traverse"],
    },
)
