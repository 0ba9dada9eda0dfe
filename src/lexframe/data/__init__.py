"""Readers for people's files, the plain types that they give, and the small data that ships with the package."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "analogy_questions": ["AnalogyQuestion", "AnalogyQuestions", "read_questions"],
        "desk_messages": ["NoisyLabels", "desk", "desk_noisy_labels"],
        "edges": ["Edge", "read_edges"],
        "in_memory": ["as_table"],
        "columns": ["Columns", "read_columns"],
        "readers": ["Table", "TextRow", "count_rows", "label_words_from", "read_table", "stream_rows"],
        "word_vector_files": ["read_word_vectors", "write_word_vectors"],
        "word_vectors": ["WordVectors"],
    },
)
