"""Instruments measure or move points."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "classifiers.linear_probe": ["LogisticProbe", "ShrinkageLDA"],
        "classifiers.persistence": ["load_instrument", "save_instrument"],
        "classifiers.posterior_calibration": ["PosteriorCalibration"],
        "classifiers.semantic_calibration": ["SemanticCalibration"],
        "directions.concept_direction": ["ConceptDirection"],
        "directions.direction": ["Direction", "Preflight"],
        "directions.direction_files": ["export_gguf", "load_direction", "save_direction"],
        "directions.direction_finding": ["find_direction", "frame_direction", "random_direction"],
        "directions.steering": ["GeneratedTextMetric", "LabelWordOdds", "SteeredTexts", "TargetTexts", "steer", "steered"],
        "directions.steering_choice": ["SideEffectBudget", "SteeringChoice", "SteeringPoint", "choose_steering"],
        "edits.attribute_edit": ["ClassifierGradientEdit", "DirectionEdit", "MeanDifferenceEdit", "PointEdit"],
        "edits.class_sampling": ["ClassGaussians"],
        "edits.edits_from_texts": ["class_gaussians_from_texts", "edit_direction", "edit_from_texts"],
        "edits.matched_edit": ["MatchedDifferenceEdit"],
        "edits.paths": ["linear_path", "spherical_path"],
        "frame.nearest_basis": ["NearestBasis"],
        "frame.vocabulary_frame": ["LabelBases", "VocabularyFrame", "WordCard", "leverage", "semantic_basis"],
        "patching.patch_result": ["ConditionScore", "PatchResult"],
        "patching.task": ["Task"],
        "patching.task_vector": ["TaskVectors", "composed", "task_vectors", "top_words"],
        "traces.lens": ["FrameLens", "LensStatistics", "LogitLens"],
        "traces.path_comparison": ["PathComparison", "PathMap", "compare_paths", "path_map"],
        "traces.trace": ["PromptTrace", "trace"],
        "traces.tuned_lens": ["TunedLens", "fit_tuned_lens", "mean_divergences"],
        "words.analogy": ["Analogy", "solve_analogy"],
        "words.analogy_evaluation": ["evaluate_analogies"],
        "words.analogy_result": ["AnalogyEvaluation", "AnalogyScore", "QuartileScore"],
        "words.retrofitting": ["Retrofitting", "retrofit"],
        "words.word_sources": ["space_vectors", "state_vectors", "vocabulary_vectors", "whole_words"],
    },
)
