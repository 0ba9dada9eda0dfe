"""Texts to points inside a scikit-learn pipeline."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from lexframe.checks import texts_in
from lexframe.latents.text_reader import Reading, TextReader
from lexframe.spaces.base import Space, fitted_space
from lexframe.typing import ModelName, Points


class TextEncoder(TransformerMixin, BaseEstimator):
    """Turns texts into points of a space, as a step of a pipeline.

    Parameters
    ----------
    space : Space or str
        Frozen, or the name of a model, which is opened with the first fit; clones of the estimator share it.
    cache : str or Path, optional
        Folder of a store. A text that is in it is not encoded again, in this process or any later one, so that
        cross-validation and a grid search encode every text once.
    batch_size : int, optional
        Texts in one forward pass. Default: what suits the device.

    Attributes
    ----------
    n_features_out_ : int
        Dimensions of a point.

    Examples
    --------
    >>> from lexframe import ToySpace
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> space = ToySpace({"cat": [1.0, 0.0], "dog": [0.0, 1.0]})
    >>> pipeline = make_pipeline(TextEncoder(space), LogisticRegression())
    >>> pipeline.fit(["cat cat", "dog", "cat", "dog dog cat"], ["cat", "dog", "cat", "dog"]).predict(["a cat"]).tolist()
    ['cat']
    """

    def __init__(self, space: Space | ModelName, *, cache: str | Path | None = None, batch_size: int | None = None):
        self.space = space
        self.cache = cache
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None) -> "TextEncoder":
        """Check the texts, a list, array or column of them; nothing is learnt, but of a space that is fitted on texts its dimensions."""
        self._fitted = fitted_space(self._opened(), texts_in(X))
        self.n_features_out_ = self._fitted.n_dims
        return self

    def transform(self, X: Any) -> Points:
        """Points of texts, float32 of shape (n_texts, n_dims)."""
        check_is_fitted(self)
        reader = TextReader(self._fitted, Reading.own(), folder=self.cache, batch_size=self.batch_size)
        return reader.encode(texts_in(X))

    def _opened(self) -> Space:
        """The space; one that was named is opened once."""
        if isinstance(self.space, Space):
            return self.space
        if getattr(self, "_open", (None, None))[0] != self.space:
            self._open = (self.space, Space.of(self.space))
        return self._open[1]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the coordinates: ``point0``, ``point1`` and so on."""
        check_is_fitted(self)
        return np.array([f"point{number}" for number in range(self.n_features_out_)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_out_")
