"""Instruments measure or move points."""

import importlib
from typing import Any

_HOME = {
    "Analogy": "analogy",
    "AnalogyEvaluation": "analogy_evaluation",
    "AnalogyQuestion": "analogy",
    "AnalogyScore": "analogy_evaluation",
    "ConceptDirection": "concept_direction",
    "ConditionScore": "patch_result",
    "Direction": "direction",
    "Edge": "lexical_graph",
    "FrameLens": "lens",
    "GenerationScore": "steering",
    "HeadEffects": "function_vector",
    "LabelBases": "vocabulary_frame",
    "LabelWordOdds": "steering",
    "LensStatistics": "lens",
    "LogisticProbe": "linear_probe",
    "LogitLens": "lens",
    "NearestBasis": "nearest_basis",
    "PatchResult": "patch_result",
    "PathComparison": "path_comparison",
    "PathMap": "path_comparison",
    "PosteriorCalibration": "posterior_calibration",
    "Preflight": "direction",
    "PromptTrace": "trajectory",
    "QuartileScore": "analogy_evaluation",
    "Retrofitting": "retrofitting",
    "SemanticCalibration": "semantic_calibration",
    "ShrinkageLDA": "linear_probe",
    "SteeredTexts": "steering",
    "TargetTexts": "steering",
    "Task": "task",
    "TaskVectors": "task_vector",
    "TunedLens": "tuned_lens",
    "VocabularyFrame": "vocabulary_frame",
    "WordCard": "vocabulary_frame",
    "WordVectors": "word_vectors",
    "compare_paths": "path_comparison",
    "composed": "task_vector",
    "evaluate_analogies": "analogy_evaluation",
    "export_gguf": "direction_files",
    "find_direction": "direction_finding",
    "fit_tuned_lens": "tuned_lens",
    "frame_direction": "direction_finding",
    "function_vector_study": "function_vector",
    "head_effects": "function_vector",
    "leverage": "vocabulary_frame",
    "load_direction": "direction_files",
    "load_instrument": "persistence",
    "mean_divergences": "tuned_lens",
    "mean_head_outputs": "function_vector",
    "path_map": "path_comparison",
    "random_direction": "direction_finding",
    "retrofit": "retrofitting",
    "save_direction": "direction_files",
    "save_instrument": "persistence",
    "semantic_basis": "vocabulary_frame",
    "solve_analogy": "analogy",
    "space_vectors": "word_sources",
    "state_vectors": "word_sources",
    "steer": "steering",
    "steered": "steering",
    "task_vector_study": "patching_study",
    "task_vectors": "task_vector",
    "top_words": "task_vector",
    "trace": "trajectory",
    "vector_of_heads": "function_vector",
    "vocabulary_vectors": "word_sources",
    "whole_words": "word_sources",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # Names load their module on first use: the frame needs numpy alone, the calibration torch.
    if name in _HOME:
        return getattr(importlib.import_module(f"lexframe.instruments.{_HOME[name]}"), name)
    raise AttributeError(f"module 'lexframe.instruments' has no attribute {name!r}")
