"""The vocabulary frame, slow and obvious: singular value decompositions in float64, a word at a time."""

import numpy as np


def semantic_basis(unembedding, *, cut_off=1e-6):
    """Row i is the shortest least-squares solution of U r = e_i; singular values below `cut_off` of the largest count as zero."""
    left, values, right = np.linalg.svd(np.asarray(unembedding, dtype=np.float64), full_matrices=False)
    kept = values > cut_off * values.max()
    pseudo_inverse = right[kept].T @ np.diag(1 / values[kept]) @ left[:, kept].T
    return np.stack([pseudo_inverse @ one_hot for one_hot in np.eye(len(unembedding))])


def leverage(unembedding, *, cut_off=1e-6):
    """Diagonal of the hat matrix, the projection of the logits onto what U can produce."""
    unembedding = np.asarray(unembedding, dtype=np.float64)
    return np.diag(unembedding @ np.linalg.pinv(unembedding, rcond=cut_off)).copy()


def invariant_similarity(unembedding, point):
    """logit_i / (√leverage_i · ‖logits‖), word by word."""
    logits = np.asarray(unembedding, dtype=np.float64) @ point
    length = np.sqrt(sum(logit**2 for logit in logits))
    return np.array([logit / (np.sqrt(own) * length) for logit, own in zip(logits, leverage(unembedding), strict=True)])


def cosine_similarity(unembedding, point):
    """cos(s_i, r), word by word."""
    return np.array([basis @ point / np.linalg.norm(basis) / np.linalg.norm(point) for basis in semantic_basis(unembedding)])


def side_effect(unembedding, word, direction):
    """Mean absolute change of the other logits when the word's own rises by one."""
    changes = [row @ direction for row in np.asarray(unembedding, dtype=np.float64)]
    return np.mean([abs(change / changes[word]) for number, change in enumerate(changes) if number != word])
