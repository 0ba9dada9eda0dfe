"""Readers for people's files, and the small data that ships with the package."""

from lexframe.datasets.desk import NoisyLabels, desk, desk_noisy_labels
from lexframe.datasets.readers import Table, TextRow, count_rows, label_words_from, read_table, stream_rows

__all__ = ["NoisyLabels", "Table", "TextRow", "count_rows", "desk", "desk_noisy_labels", "label_words_from", "read_table", "stream_rows"]
