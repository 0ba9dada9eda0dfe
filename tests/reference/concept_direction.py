"""Directions as their papers define them, one example after the other."""

import numpy as np


def axis_of_all_pairs(positive, negative):
    """First right singular vector of the differences of every positive with every negative point, towards the positive."""
    differences = np.array([high - low for high in positive for low in negative])
    values, vectors = np.linalg.eigh(differences.T @ differences)
    axis = vectors[:, values.argmax()]
    return axis if differences.mean(0) @ axis > 0 else -axis


def mean_pair_cosine(positive, negative):
    """Mean cosine over all couples of two different pairs."""
    differences = [high - low for high, low in zip(positive, negative, strict=True)]
    cosines = [
        one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        for i, one in enumerate(differences)
        for j, other in enumerate(differences)
        if i != j
    ]
    return float(np.mean(cosines))
