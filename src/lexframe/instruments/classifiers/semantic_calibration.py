"""Semantic calibration: a small trained module moves points towards the bases of their labels.

The module is the paper's (channel attention, MLP, LayerNorm), put on a residual path whose last gain starts at zero:
without training it leaves every point where it is, so zero training is exactly the nearest basis.
"""

import math
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, OneToOneFeatureMixin, TransformerMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from lexframe.instruments.frame.nearest_basis import sorted_bases
from lexframe.instruments.frame.vocabulary_frame import LabelBases
from lexframe.instruments.persistent_estimator import PersistentEstimator
from lexframe.linalg import metric_root, softmax
from lexframe.seeding import seeded

OBJECTIVES = ("labels", "vocabulary", "gold")
LEAST_TO_HOLD_OUT = 10
"""Points of a class below which all of them are trained on."""


class CalibrationModule(nn.Module):
    r""":math:`\lambda(r) = r + \mathrm{LN}(\mathrm{MLP}(r \odot \mathrm{CA}(r)))`.

    :math:`\mathrm{CA}(r) = B(\mathrm{avg}\,r) + B(\max r)` with a bottleneck B of width d/16 [1]_. A point is a single
    position, so both poolings return it and CA(r) = 2 B(r). The weights are 33/8 d² for d a multiple of 16: 4 d² in
    the MLP (d → 2d → d) and d²/8 in the attention. LayerNorm adds 2d; its gain and shift start at zero, hence
    :math:`\lambda(r) = r` before training, which the paper's module without the residual path cannot do. Inside the
    brackets r is standardised by coordinate.

    Parameters
    ----------
    n_dims : int
        Width d of the points.

    References
    ----------
    .. [1] Gu et al. (2024), Vocabulary-Defined Semantics, arXiv:2401.16184.
    """

    def __init__(self, n_dims: int):
        super().__init__()
        bottleneck = max(1, n_dims // 16)
        self.attention = nn.Sequential(nn.Linear(n_dims, bottleneck, bias=False), nn.ReLU(), nn.Linear(bottleneck, n_dims, bias=False))
        self.mlp = nn.Sequential(nn.Linear(n_dims, 2 * n_dims, bias=False), nn.GELU(), nn.Linear(2 * n_dims, n_dims, bias=False))
        self.norm = nn.LayerNorm(n_dims)
        nn.init.zeros_(self.norm.weight)

        self.register_buffer("mean", torch.zeros(n_dims))
        self.register_buffer("spread", torch.ones(n_dims))

    def standardize_by(self, points: Tensor) -> None:
        """Read the mean and spread of each coordinate off training points; neither is trained."""
        self.mean = points.mean(dim=0)
        spread = points.std(dim=0, correction=0)
        self.spread = torch.where(spread > 1e-6, spread, 1.0)  # a coordinate that never varies is left as it is

    def forward(self, points: Tensor) -> Tensor:
        """Moved points, of the shape of `points`."""
        standardized = (points - self.mean) / self.spread
        channels = 2 * self.attention(standardized)
        return points + self.norm(self.mlp(standardized * channels))


class SemanticCalibration(PersistentEstimator, OneToOneFeatureMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """Move points so that each comes near the basis of its label; predict the nearest basis.

    What is added to a point is worked out from its standardised coordinates: states of language models have a few
    coordinates that are large for every text and would drown the others. The point itself stays as it is.

    Parameters
    ----------
    bases : LabelBases, optional
        Made by :meth:`VocabularyFrame.label_bases`. Default: the class means of the training points.
    objective : {"labels", "vocabulary", "gold"}
        What the training loss compares the gold basis with: the other labels, the whole vocabulary, or nothing (only
        the similarity with the gold basis counts).
    vocabulary : ndarray of shape (n_vocab, n_features), optional
        All bases; needed by the objective ``vocabulary``.
    temperature : float
        Similarities are divided by it before the softmax, in training and in `predict_proba`. The paper states none,
        which leaves the softmax over cosines almost uniform.
    training_logits, inference_logits : {"similarity", "matrix"}
        What the softmax is taken of: similarities over temperature, or the plain products with the label bases in the
        inner product of the frame, which for the invariant readout are the head's own logits. The paper's ablation
        crosses the two.
    max_epochs, batch_size, learning_rate, weight_decay : int, int, float, float
        Of AdamW.
    validation_share : float
        Share of the training points, drawn by class, that chooses the epoch. A class with fewer than 10 stays in training. 0, or
        fewer than two larger classes: all points train for all epochs.
    patience : int
        Epochs without a better validation loss after which training stops.
    random_state : int
        Of the split, the weights and the order of the points.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    module_ : CalibrationModule
    n_parameters_ : int
        Trained parameters.
    n_epochs_ : int
        Epochs after which the module was kept; 0 if training did not help, and the points stay where they were.
    """

    artifact_kind = "semantic-calibration"
    unkept_parameters = frozenset({"bases", "vocabulary"})

    def __init__(
        self,
        bases: LabelBases | None = None,
        *,
        objective: str = "labels",
        vocabulary: Any = None,
        temperature: float = 0.1,
        training_logits: str = "similarity",
        inference_logits: str = "similarity",
        max_epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.01,
        validation_share: float = 0.1,
        patience: int = 10,
        random_state: int = 0,
    ):
        self.bases = bases
        self.objective = objective
        self.vocabulary = vocabulary
        self.temperature = temperature
        self.training_logits = training_logits
        self.inference_logits = inference_logits
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_share = validation_share
        self.patience = patience
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "SemanticCalibration":
        """Train the module on points and labels."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self._check_parameters()
        if self.bases is None:
            self.classes_ = unique_labels(y)
            vectors, metric = np.stack([X[y == label].mean(0) for label in self.classes_]), None
        else:
            (self.classes_, vectors), metric = sorted_bases(self.bases, y, X.shape[1]), self.bases.metric
        root = np.eye(X.shape[1]) if metric is None else metric_root(metric)
        self._set_frame(vectors, metric, scale=float(np.sqrt(np.mean((X @ root) ** 2))) or 1.0)
        self._train(self._rotated(X), np.searchsorted(self.classes_, y))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Moved points, in the units of `X`, shape (n_samples, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        rotated = self._rotated(X)
        with torch.no_grad():
            shift = (self.module_(rotated) - rotated).double().numpy()
        # Only the shift goes through float32 and the inverse root: a point that is not moved stays exactly where it is.
        return X + shift @ self._root_inverse * self.scale_

    def similarity(self, X: Any) -> np.ndarray:
        """Similarities of the moved points with the bases, shape (n_samples, n_classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        with torch.no_grad():
            return self._cosines(self.module_(self._rotated(X)), self._targets).double().numpy()

    def predict_proba(self, X: Any) -> np.ndarray:
        """Softmax of the logits of inference."""
        return softmax(self._logits_of(X))

    def predict(self, X: Any) -> np.ndarray:
        """The label whose basis is nearest to the moved point."""
        logits = self._logits_of(X)
        return self.classes_[logits.argmax(axis=1)]

    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """The frame that points are compared in, and the weights of the module."""
        frame = {"vectors": self.vectors_, "scale": np.array([self.scale_])} | ({} if self.metric_ is None else {"metric": self.metric_})
        return frame | {f"module.{name}": tensor.numpy() for name, tensor in self.module_.state_dict().items()}

    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the frame and the module back."""
        self._set_frame(arrays["vectors"], arrays.get("metric"), scale=float(arrays["scale"][0]))
        self.module_ = CalibrationModule(self.n_features_in_)
        weights = {name.removeprefix("module."): torch.from_numpy(array) for name, array in arrays.items() if name.startswith("module.")}
        self.module_.load_state_dict(weights)

    def _logits_of(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        with torch.no_grad():
            return self._logits(self.module_(self._rotated(X)), self._targets, self.inference_logits).double().numpy()

    def _logits(self, points: Tensor, bases: Tensor, kind: str) -> Tensor:
        """Similarities over temperature, or products in the units of the head's logits, of moved points and bases."""
        if kind == "matrix":
            return points @ bases.T * self.scale_
        return self._cosines(points, bases) / self.temperature

    def _check_parameters(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective is {self.objective!r}; expected one of {', '.join(OBJECTIVES)}.")
        if self.objective == "vocabulary" and (self.vocabulary is None or self.bases is None):
            raise ValueError("The objective 'vocabulary' needs bases=frame.label_bases(...) and vocabulary=frame.bases().")
        for name in ("training_logits", "inference_logits"):
            if getattr(self, name) not in ("similarity", "matrix"):
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected 'similarity' or 'matrix'.")
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; it must be positive.")

    def _set_frame(self, vectors: np.ndarray, metric: np.ndarray | None, *, scale: float) -> None:
        """Work in coordinates in which the metric is Euclidean and the points have unit mean square."""
        self.vectors_, self.metric_, self.scale_ = vectors, metric, scale
        self.root_ = np.eye(vectors.shape[1]) if metric is None else metric_root(metric)
        self._root_inverse = np.linalg.pinv(self.root_, hermitian=True)
        self._targets = torch.from_numpy(vectors @ self.root_).float()

    def _rotated(self, X: np.ndarray) -> Tensor:
        return torch.from_numpy(X @ self.root_ / self.scale_).float()

    @staticmethod
    def _cosines(points: Tensor, bases: Tensor) -> Tensor:
        return nn.functional.normalize(points, dim=1) @ nn.functional.normalize(bases, dim=1).T

    def _train(self, X: Tensor, y: np.ndarray) -> None:
        generator = torch.Generator().manual_seed(self.random_state)
        self.module_ = _seeded_module(X.shape[1], self.random_state)
        self.module_.standardize_by(X)
        self.n_parameters_ = sum(parameter.numel() for parameter in self.module_.parameters())
        optimizer = torch.optim.AdamW(self.module_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        loss = self._loss_function()
        train, held_out = self._split(y)
        targets = torch.from_numpy(y)
        best, best_epoch, best_state = math.inf, 0, _copy(self.module_)
        if len(held_out):
            best = self._evaluate(loss, X[held_out], targets[held_out])
        for epoch in range(1, self.max_epochs + 1):
            order = torch.from_numpy(train)[torch.randperm(len(train), generator=generator)]
            for rows in order.split(self.batch_size):
                optimizer.zero_grad()
                loss(self.module_(X[rows]), targets[rows]).backward()
                optimizer.step()
            if not len(held_out):
                best_epoch, best_state = epoch, _copy(self.module_)
                continue
            value = self._evaluate(loss, X[held_out], targets[held_out])
            if value < best:
                best, best_epoch, best_state = value, epoch, _copy(self.module_)
            elif epoch - best_epoch >= self.patience:
                break
        self.module_.load_state_dict(best_state)
        self.n_epochs_ = best_epoch

    def _evaluate(self, loss: Any, X: Tensor, y: Tensor) -> float:
        with torch.no_grad():
            return float(loss(self.module_(X), y))

    def _split(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        counts = np.bincount(y)
        is_rare = counts[y] < LEAST_TO_HOLD_OUT
        if not self.validation_share or (counts >= LEAST_TO_HOLD_OUT).sum() < 2:  # of a single class, whatever always names it looks best
            return np.arange(len(y)), np.arange(0)
        rows = np.flatnonzero(~is_rare)
        train, held_out = train_test_split(rows, test_size=self.validation_share, stratify=y[rows], random_state=self.random_state)
        return np.concatenate([train, np.flatnonzero(is_rare)]), held_out

    def _loss_function(self) -> Any:
        """Loss of moved points and class numbers, by objective."""
        if self.objective == "gold":
            return lambda points, y: (
                1 - (nn.functional.normalize(points, dim=1) * nn.functional.normalize(self._targets[y], dim=1)).sum(1).mean()
            )
        if self.objective == "labels":
            return lambda points, y: nn.functional.cross_entropy(self._logits(points, self._targets, self.training_logits), y)
        assert self.bases is not None
        vocabulary = torch.from_numpy(np.asarray(self.vocabulary, dtype=np.float64) @ self.root_).float()
        gold = torch.zeros(len(self.classes_), len(vocabulary))
        for label, ids in zip(self.bases.labels, self.bases.token_ids, strict=True):
            gold[int(np.searchsorted(self.classes_, label)), list(ids)] = 1 / len(ids)
        return lambda points, y: nn.functional.cross_entropy(self._logits(points, vocabulary, self.training_logits), gold[y])


def _seeded_module(n_dims: int, seed: int) -> CalibrationModule:
    """A module whose weights depend on the seed alone; the global generator is left as it was."""
    with seeded(seed):
        return CalibrationModule(n_dims)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
