"""Shape aliases: one name for what travels between spaces and instruments.

Axes are named by what they count: ``n_texts``, ``n_dims`` (of the space), ``n_vocab``, ``n_tokens``, ``n_layers``.
"""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

Texts = Iterable[Any]
"""Texts as people hold them: one string, a list, a Series, a column, a generator. See :func:`lexframe.checks.texts_in`."""

ModelName = str | os.PathLike[str]
"""What a space is opened by: ``"embedded"``, a local folder, a hub id. See :meth:`lexframe.spaces.base.Space.of`."""

Points = Float32[np.ndarray, "n_texts n_dims"]
"""Texts as points of one space, a row a text."""

Vectors = Float[np.ndarray, "n_vectors n_dims"]
"""Vectors of one space of either precision: bases, directions, points."""

Matrix = Float[np.ndarray, "rows columns"]
