"""Readers for people's files, and the small data that ships with the package."""

from lexframe.datasets.analogies import AnalogyQuestions, read_questions
from lexframe.datasets.desk import NoisyLabels, desk, desk_noisy_labels
from lexframe.datasets.edges import read_edges
from lexframe.datasets.readers import Table, TextRow, count_rows, label_words_from, read_table, stream_rows
from lexframe.datasets.word_vectors import read_word_vectors, write_word_vectors

__all__ = [
    "AnalogyQuestions",
    "NoisyLabels",
    "Table",
    "TextRow",
    "count_rows",
    "desk",
    "desk_noisy_labels",
    "label_words_from",
    "read_edges",
    "read_questions",
    "read_table",
    "read_word_vectors",
    "stream_rows",
    "write_word_vectors",
]
