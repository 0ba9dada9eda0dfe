"""Spaces that write: what their latent is used for, samples, paths and edits."""

import importlib
from typing import Any

# These functions have the name of their module, which would stand in their place once it is imported: so they are bound at once.
# They are light; the names below load on first use.
from lexframe.generative.active_units import active_units
from lexframe.generative.bleu import bleu
from lexframe.generative.disentanglement import disentanglement
from lexframe.generative.likelihood_bounds import importance_weighted
from lexframe.generative.mutual_information import mutual_information
from lexframe.generative.nearest_texts import nearest_texts
from lexframe.generative.position_gain import position_gain
from lexframe.generative.rate_distortion import rate_distortion

_HOME = {
    "ActiveUnits": "active_units",
    "ClassGaussians": "class_sampling",
    "ClassifierGradientEdit": "attribute_edit",
    "DirectionEdit": "attribute_edit",
    "Disentanglement": "disentanglement",
    "EditedTexts": "edited_texts",
    "FactorProbes": "factor_probe",
    "FactorScore": "factor_probe",
    "ImportanceWeighted": "likelihood_bounds",
    "Interpolation": "interpolation",
    "LikelihoodBound": "likelihood_bounds",
    "MatchedDifferenceEdit": "matched_edit",
    "MeanDifferenceEdit": "attribute_edit",
    "MemorisationCheck": "nearest_texts",
    "MutualInformation": "mutual_information",
    "NearestTexts": "nearest_texts",
    "PointEdit": "attribute_edit",
    "PositionGain": "position_gain",
    "PositionPoint": "position_gain",
    "RateDistortion": "rate_distortion",
    "RatePoint": "rate_distortion",
    "Reconstructions": "reconstructions",
    "Samples": "samples",
    "TextPerplexity": "text_perplexity",
    "TextVAEScore": "vae_score_result",
    "Traversal": "traversal",
    "class_gaussians_from_texts": "labelled_texts",
    "count_active_units": "active_units",
    "distinct_n": "text_diversity",
    "edit_direction": "labelled_texts",
    "edit_from_texts": "labelled_texts",
    "edit_texts": "edited_texts",
    "exact_match": "reconstruction",
    "interpolate": "interpolation",
    "interpolate_pairs": "interpolation",
    "kl_per_dimension": "kl_divergence",
    "language_model_perplexity": "text_perplexity",
    "linear_path": "paths",
    "memorisation_check": "nearest_texts",
    "probe_factors": "factor_probe",
    "reconstruct_texts": "reconstructions",
    "sample_texts": "samples",
    "score_text_vae": "vae_score",
    "self_bleu": "text_diversity",
    "sentence_bleu": "bleu",
    "spherical_path": "paths",
    "tempered": "rate_distortion",
    "traverse": "traversal",
    "word_accuracy": "reconstruction",
    "word_distance": "word_edits",
    "word_overlap": "word_edits",
}
_AT_ONCE = (
    active_units,
    bleu,
    disentanglement,
    importance_weighted,
    mutual_information,
    nearest_texts,
    position_gain,
    rate_distortion,
)

__all__ = sorted([*_HOME, *(function.__name__ for function in _AT_ONCE)])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"lexframe.generative.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lexframe.generative' has no attribute {name!r}")
