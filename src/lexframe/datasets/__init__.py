"""Readers for people's files, and the small data that ships with the package."""

from lexframe.datasets.desk import NoisyLabels, desk, desk_noisy_labels
from lexframe.datasets.readers import Table, label_words_from, read_table

__all__ = ["NoisyLabels", "Table", "desk", "desk_noisy_labels", "label_words_from", "read_table"]
