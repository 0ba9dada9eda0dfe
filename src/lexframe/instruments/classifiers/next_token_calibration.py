r"""Next-token calibration: the states that the output head reads are moved towards a domain; the model stays frozen.

From a small text of the domain we know the state h at every position and the token y that follows. Logits are
:math:`U h' + c` with the frozen unembedding U and its bias c, where :math:`h' = h + \mathrm{shift}(h)`. The shift is
learnt by cross-entropy, after the token counts of the domain have been taken into the logits; without learning, both
are zero.
"""

import copy
import dataclasses
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from lexframe.instruments.classifiers.affine_move import AffineMove, AffineProblem
from lexframe.instruments.classifiers.next_token_head import (
    Ids,
    NextTokenHead,
    head_statistics,
    mean_losses_with_offsets,
    next_token_losses,
)
from lexframe.instruments.classifiers.semantic_calibration import CalibrationModule
from lexframe.seeding import seeded

CALIBRATION_METHODS = ("unigram", "affine", "neural")
SMOOTHINGS = (300.0, 1000.0, 3000.0, 10000.0)
WEIGHTS = (0.25, 0.5, 0.75, 1.0)


def tail_start(n: int, share: float) -> int:
    """First position of the tail of n, on which choices are made; one position at least on either side.

    Raises
    ------
    ValueError
        If `share` is not between 0 and 1, or n is below 2.
    """
    if not 0 < share < 1:
        raise ValueError(f"tail_share is {share}; expected a share between 0 and 1, such as 0.1.")
    if n < 2:
        raise ValueError(f"There are {n} positions; calibration needs 2 or more, one to learn from and one to choose by.")
    return min(max(1, round(n * (1 - share))), n - 1)


def unigram_offset(
    next_ids: Ids, prediction: Float[np.ndarray, " n_vocab"], *, smoothing: float = 1000.0, weight: float = 1.0
) -> Float[np.ndarray, " n_vocab"]:
    r"""What is added to the logits so that they follow the domain's token counts: :math:`w (\ln q - \ln \bar p)`.

    :math:`q = (\mathrm{counts} + a \bar p) / (n + a)`, so a token that never came loses at most a factor
    :math:`a / (n + a)`, and with no text at all nothing is added.

    Parameters
    ----------
    next_ids : ndarray of int, shape (n,)
        Tokens of the domain.
    prediction : ndarray of shape (n_vocab,)
        Mean distribution that the frozen model predicts there.
    smoothing : float
        a, in tokens.
    weight : float
        w.

    Returns
    -------
    ndarray of shape (n_vocab,)
    """
    counts = np.bincount(next_ids, minlength=len(prediction))
    prediction = np.maximum(prediction, np.finfo(np.float64).tiny)
    return weight * np.log((counts / prediction + smoothing) / (len(next_ids) + smoothing))


class NextTokenCalibration(TransformerMixin, BaseEstimator):
    """Move the states that the output head reads, so that it predicts the next tokens of a domain.

    Parameters
    ----------
    unembedding : ndarray of shape (n_vocab, n_features)
        U of the frozen head.
    bias : ndarray of shape (n_vocab,), optional
        Of the frozen head.
    soft_cap : float, optional
        c in ``c tanh(logit / c)``. The affine problem is then no longer convex.
    method : {"unigram", "affine", "neural"}
        ``unigram`` adds to the logits what the domain's token counts say, and leaves the states where they are. The other
        two move the states as well: by an affine map, fitted by a convex problem, or by the module of
        :class:`SemanticCalibration`.
    counts : bool
        Whether ``affine`` and ``neural`` take in the token counts first; what is left to them is what counts cannot tell.
    tail_share : float
        Share of the positions, the last ones, on which every choice is made.
    expected_moves : sequence of float
        Of ``affine``: divergences in nats by which the domain is expected to move predictions, rising; the penalty follows
        from it (see :class:`AffineProblem`). The last one that lowers the loss on the tail is taken.
    n_search : int
        Positions, drawn at random, on which they are tried; the fit itself is on all. The mean prediction that token
        counts are compared with is taken over them, too.
    max_iterations : int
        Of ``affine``: L-BFGS iterations for each.
    max_epochs, patience, batch_size, learning_rate : int, int, int, float
        Of ``neural``: AdamW; the epoch with the smallest loss on the tail is taken, and training stops after `patience`
        epochs without a smaller one.
    random_state : int
        Of the draw, the module's weights and the order of the positions.

    Attributes
    ----------
    offset_ : ndarray of shape (n_vocab,) or None
        What is added to the logits; None where token counts do not help on the tail.
    move_ : AffineMove, CalibrationModule or None
        None where the states stay where they are.
    tail_loss_ : float
        Loss on the tail in nats a token, of what was chosen.
    choices_ : dict
        What was chosen on the tail.
    n_parameters_ : int
        Numbers learnt; 0 if nothing helped on the tail, and the model stays as it was.
    """

    def __init__(
        self,
        unembedding: Any,
        *,
        bias: Any = None,
        soft_cap: float | None = None,
        method: str = "affine",
        counts: bool = True,
        tail_share: float = 0.1,
        expected_moves: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0),
        n_search: int = 8192,
        max_iterations: int = 8,
        max_epochs: int = 10,
        patience: int = 2,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        random_state: int = 0,
    ):
        self.unembedding = unembedding
        self.bias = bias
        self.soft_cap = soft_cap
        self.method = method
        self.counts = counts
        self.tail_share = tail_share
        self.expected_moves = expected_moves
        self.n_search = n_search
        self.max_iterations = max_iterations
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "NextTokenCalibration":
        """Learn from states in the order of the text, shape (n, n_features), and the ids that follow, shape (n,)."""
        if self.method not in CALIBRATION_METHODS:
            raise ValueError(f"method is {self.method!r}; expected one of {', '.join(CALIBRATION_METHODS)}.")
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64])
        y = self._checked_ids(X, y)
        cut = tail_start(len(X), self.tail_share)
        self.offset_: np.ndarray | None = None
        self.move_: AffineMove | CalibrationModule | None = None
        self.choices_: dict[str, Any] = {}
        self.n_parameters_ = 0
        self._head = NextTokenHead(
            np.asarray(self.unembedding, dtype=X.dtype),
            None if self.bias is None else np.asarray(self.bias, dtype=X.dtype),
            self.soft_cap,
        )
        self.tail_loss_ = float(next_token_losses(X[cut:], y[cut:], self._head).mean())
        rows = self._drawn(cut)
        if self.counts or self.method == "unigram":
            self._fit_unigram(X, y, cut, rows)
        if self.method == "affine":
            self._fit_affine(X, y, cut, rows)
        if self.method == "neural":
            self._fit_neural(X, y, cut)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Moved states, of the shape and precision of `X`."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        if self.move_ is None:
            return X
        if isinstance(self.move_, AffineMove):
            return self.move_(X)
        with torch.no_grad():
            scaled = torch.from_numpy(X).float() / self._scale
            # Only the shift goes through float32: a state that is not moved stays exactly where it is.
            return X + ((self.move_(scaled) - scaled) * self._scale).numpy().astype(X.dtype)

    def losses(self, X: Any, y: Any) -> Float[np.ndarray, " n"]:
        """Minus log-probability of each next token after the move, in nats, shape (n_samples,)."""
        moved = self.transform(X)
        return next_token_losses(moved, self._checked_ids(moved, np.asarray(y)), self._head)

    def score(self, X: Any, y: Any) -> float:
        """Mean log-probability of the next tokens, in nats: higher is better."""
        return -float(self.losses(X, y).mean())

    def _checked_ids(self, X: np.ndarray, y: np.ndarray) -> np.ndarray:
        n_vocab, n_dims = np.shape(self.unembedding)
        if X.shape[1] != n_dims:
            raise ValueError(f"The states have {X.shape[1]} dimensions, but the rows of the unembedding have {n_dims}.")
        if not np.issubdtype(y.dtype, np.integer):
            raise ValueError(f"y holds {y.dtype}; expected the ids of the next tokens, integers.")
        if len(y) and not 0 <= y.min() <= y.max() < n_vocab:
            raise ValueError(f"y holds ids from {y.min()} to {y.max()}, but the head has {n_vocab} tokens, 0 to {n_vocab - 1}.")
        return y.astype(np.int64)

    def _drawn(self, cut: int) -> np.ndarray:
        """Rows before the tail: all, or as many as `n_search`, drawn at random and in order."""
        if cut <= self.n_search:
            return np.arange(cut)
        return np.sort(np.random.default_rng(self.random_state).choice(cut, self.n_search, replace=False))

    def _fit_unigram(self, X: np.ndarray, y: np.ndarray, cut: int, rows: np.ndarray) -> None:
        prediction = head_statistics(X[rows], self._head).prediction
        choices = [{"smoothing": smoothing, "weight": weight} for smoothing in SMOOTHINGS for weight in WEIGHTS]
        losses = mean_losses_with_offsets(
            X[cut:], y[cut:], self._head, [unigram_offset(y[:cut], prediction, **choice) for choice in choices]
        )
        best = int(losses.argmin())
        if losses[best] < self.tail_loss_:
            self.tail_loss_, self.choices_ = float(losses[best]), dict(choices[best])
            self.offset_ = unigram_offset(y, prediction, **choices[best]).astype(X.dtype)
            self.n_parameters_ = len(self.offset_)
            self._head = dataclasses.replace(self._head, offset=self.offset_)

    def _fit_affine(self, X: np.ndarray, y: np.ndarray, cut: int, rows: np.ndarray) -> None:
        problem = AffineProblem(X[:cut], self._head, head_statistics(X[rows], self._head).fisher)
        coefficients, best = None, None
        for expected_move in self.expected_moves:
            coefficients = problem.solve(
                X[rows], y[rows], expected_move=expected_move, start=coefficients, max_iterations=self.max_iterations
            )
            loss = float(next_token_losses(problem.move(coefficients)(X[cut:]), y[cut:], self._head).mean())
            if loss >= self.tail_loss_:
                break
            self.tail_loss_, best = loss, (expected_move, coefficients)
        if best is not None:
            expected_move, start = best
            self.choices_["expected_move"] = expected_move
            final = problem.solve(X, y, expected_move=expected_move, start=start, max_iterations=self.max_iterations)
            self.move_ = problem.move(final)
            self.n_parameters_ += final.size

    def _fit_neural(self, X: np.ndarray, y: np.ndarray, cut: int) -> None:
        self._scale = float(np.sqrt(np.mean(X[:cut].astype(np.float64) ** 2))) or 1.0
        states, targets, head = torch.from_numpy(X).float() / self._scale, torch.from_numpy(y), self._head.astype(np.float32)
        with seeded(self.random_state):
            module = CalibrationModule(X.shape[1])
        module.standardize_by(states[:cut])
        optimizer = torch.optim.AdamW(module.parameters(), lr=self.learning_rate)
        generator = torch.Generator().manual_seed(self.random_state)
        best_epoch, best_state = 0, copy.deepcopy(module.state_dict())
        for epoch in range(1, self.max_epochs + 1):
            for rows in torch.randperm(cut, generator=generator).split(self.batch_size):
                optimizer.zero_grad()
                nn.functional.cross_entropy(head.logits(module(states[rows]) * self._scale)[0], targets[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                moved = (module(states[cut:]) * self._scale).numpy()
            loss = float(next_token_losses(moved, y[cut:], head).mean())
            if loss < self.tail_loss_:
                self.tail_loss_, best_epoch, best_state = loss, epoch, copy.deepcopy(module.state_dict())
            elif epoch - best_epoch >= self.patience:
                break
        if best_epoch:
            module.load_state_dict(best_state)
            self.move_, self.choices_["epochs"] = module, best_epoch
            self.n_parameters_ += sum(parameter.numel() for parameter in module.parameters())
