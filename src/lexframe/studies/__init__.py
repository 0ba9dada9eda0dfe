"""Protocols of papers, measured once with their controls; only the command line and benchmarks use them."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "function_vector": [
            "HeadEffects",
            "HeadStudySize",
            "function_vector_study",
            "head_effects",
            "mean_head_outputs",
            "vector_of_heads",
        ],
        "next_token": ["LoraTime", "compare_next_token"],
        "next_token_result": ["NextTokenComparison", "NextTokenScore"],
        "patching_study": ["StudySize", "task_vector_study"],
        "reproduction": ["Reproduction", "reproduce"],
        "selection": ["LabeledTexts", "SelectionSize", "measure_selection", "topic_words"],
        "selection_result": ["SelectionScore", "SelectionStudy"],
        "state_parts": ["LastStates", "StateParts", "fit_state_parts", "last_states"],
        "subspace": [
            "HeldWord",
            "SubspaceComparison",
            "axes_above_noise",
            "compare_families",
            "holm",
            "principal_angles_deg",
            "principal_axes",
            "share_inside",
            "subspace_overlap",
            "words_in_subspace",
        ],
        "transport": [
            "AffineMap",
            "NoiseGrowth",
            "TransportStudy",
            "noise_growth",
            "paired_map",
            "ridge_map",
            "singular_axes",
            "study_transport",
        ],
        "truncation": ["TruncationCost", "truncation_cost"],
    },
)
