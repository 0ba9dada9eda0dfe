"""Pretraining from scratch: corpus, tokenizer, language model, and how good it is."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "corpus": ["CorpusReport", "CorpusRules", "clean_corpus", "read_documents"],
        "evaluation_result": ["BitsPerByte", "LanguageModelEvaluation", "MinimalPairs"],
        "evaluation": [
            "EvaluationData",
            "Windows",
            "bits_per_byte",
            "evaluate_language_model",
        ],
        "grammatical_pairs": ["minimal_pairs", "read_minimal_pairs"],
        "launch": ["pretrain"],
        "plan": ["PretrainingPlan"],
        "run": ["Pretraining", "TrainingProgress"],
        "sentences": ["SentenceRules", "plain_sentences"],
        "tokenizer": ["encode_corpus", "encoded_corpus", "save_tokenizer", "train_tokenizer"],
    },
)
