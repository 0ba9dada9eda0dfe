"""Lexical graphs: which words are linked, and how strongly."""

from collections.abc import Iterable, Mapping

import numpy as np
import scipy.sparse

from lexframe.data.edges import Edge
from lexframe.data.word_vectors import WordVectors
from lexframe.exceptions import InputError


def adjacency(edges: Iterable[Edge], vectors: WordVectors, relation_weights: Mapping[str, float] | None = None) -> scipy.sparse.csr_array:
    """Symmetric weights between the words that have vectors; parallel edges add up, loops are left out.

    Parameters
    ----------
    edges : iterable of Edge
        Those with a word that has no vector are left out.
    vectors : WordVectors
        Rows of the result.
    relation_weights : mapping of str to float, optional
        Factors by relation; relations that are not named have 1.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_words, n_words)

    Raises
    ------
    InputError
        If a weight is negative or not finite.
    """
    factors = relation_weights or {}
    rows, columns, weights = [], [], []
    for edge in edges:
        weight = edge.weight * factors.get(edge.relation, 1.0)
        if not (np.isfinite(weight) and weight >= 0):
            raise InputError(f"The edge {edge.word!r}, {edge.other!r} has the weight {weight}; expected 0 or more. Leave opposites out.")
        left, right = vectors.index.get(edge.word), vectors.index.get(edge.other)
        if left is not None and right is not None and left != right and weight > 0:
            rows += [left, right]
            columns += [right, left]
            weights += [weight, weight]
    shape = (len(vectors), len(vectors))
    return scipy.sparse.coo_array((np.array(weights, dtype=np.float64), (rows, columns)), shape=shape).tocsr()
