r"""Next-token calibration: the states that the output head reads are moved towards a domain; the model stays frozen.

From a small text of the domain we know the state h at every position and the token y that follows. Logits are
:math:`U h' + c` with the frozen unembedding U and its bias c, where :math:`h' = h + \mathrm{shift}(h)`. The shift is
learnt by cross-entropy, after the token counts of the domain have been taken into the logits; without learning, both
are zero.
"""

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
import torch
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from lexframe.instruments.classifiers.semantic_calibration import CalibrationModule

METHODS = ("unigram", "affine", "neural")
SMOOTHINGS = (300.0, 1000.0, 3000.0, 10000.0)
WEIGHTS = (0.25, 0.5, 0.75, 1.0)
_MAX_LOGITS = 1 << 23
"""Numbers in one block of logits, 32 MiB in float32: larger ones only wait for memory."""
_FLOOR = 1e-3
"""Part of the mean eigenvalue that is added before a root is inverted: directions that hardly vary stay tame."""

States = Float[np.ndarray, "n n_dims"]
Ids = Int[np.ndarray, " n"]


@dataclass(frozen=True, slots=True)
class NextTokenHead:
    """The frozen output head: logits are ``soft_cap(h @ unembedding.T + bias) + offset``.

    Attributes
    ----------
    unembedding : ndarray of shape (n_vocab, n_dims)
        U; a scale on the logits, where a model has one, is taken into it and into the bias.
    bias : ndarray of shape (n_vocab,), optional
    soft_cap : float, optional
        c in ``c tanh(logit / c)``.
    offset : ndarray of shape (n_vocab,), optional
        Added last; not the model's own, but what calibration adds.
    """

    unembedding: Float[np.ndarray, "n_vocab n_dims"]
    bias: Float[np.ndarray, " n_vocab"] | None = None
    soft_cap: float | None = None
    offset: Float[np.ndarray, " n_vocab"] | None = None

    def logits(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of shape (n, n_vocab), and how fast the soft cap lets them grow; in the precision of the states."""
        logits = states @ torch.from_numpy(self.unembedding).to(states.dtype).T
        slope = None
        if self.bias is not None:
            logits = logits + torch.from_numpy(self.bias).to(states.dtype)
        if self.soft_cap is not None:
            bounded = torch.tanh(logits / self.soft_cap)
            logits, slope = self.soft_cap * bounded, 1 - bounded**2
        if self.offset is not None:
            logits = logits + torch.from_numpy(self.offset).to(states.dtype)
        return logits, slope

    def blocks(self, states: States, block: int | None) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Rows with their logits and slopes, so many positions at a time that the logits make 32 MiB, or `block`."""
        head = self.astype(states.dtype)
        size = block if block is not None else max(1, _MAX_LOGITS // len(self.unembedding))
        for start in range(0, len(states), size):
            rows = slice(start, min(start + size, len(states)))
            yield rows, *head.logits(torch.from_numpy(np.ascontiguousarray(states[rows])))

    def astype(self, dtype: Any) -> "NextTokenHead":
        """The same head in another precision."""
        cast = {
            name: None if array is None else array.astype(dtype, copy=False)
            for name, array in (("unembedding", self.unembedding), ("bias", self.bias), ("offset", self.offset))
        }
        return dataclasses.replace(self, **cast)  # type: ignore[arg-type]


def next_token_losses(states: States, next_ids: Ids, head: NextTokenHead, *, block: int | None = None) -> Float[np.ndarray, " n"]:
    """Minus log-probability of each next token, in nats.

    Parameters
    ----------
    states : ndarray of shape (n, n_dims)
        What the unembedding multiplies. Logits are worked out in its precision.
    next_ids : ndarray of int, shape (n,)
        The tokens that follow.
    head : NextTokenHead
        Frozen.
    block : int, optional
        Positions whose logits are held at once; by default as many as make 32 MiB. Changes nothing but memory.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    losses = np.empty(len(states))
    ids = torch.from_numpy(next_ids.astype(np.int64))
    for rows, logits, _ in head.blocks(states, block):
        losses[rows] = (logits.logsumexp(dim=1) - logits.gather(1, ids[rows, None])[:, 0]).numpy()
    return losses


def mean_loss_and_gradient(states: States, next_ids: Ids, head: NextTokenHead, *, block: int | None = None) -> tuple[float, States]:
    r"""Mean loss in nats, and its gradient by each state.

    Without a soft cap the gradient of one loss is :math:`U^T (p - e_y)`: the mean row of the predicted tokens minus the
    row of the one that came.

    Parameters
    ----------
    states, next_ids, head, block
        See :func:`next_token_losses`.

    Returns
    -------
    loss : float
    gradient : ndarray of shape (n, n_dims)
        Already divided by n.
    """
    rows_of_head = torch.from_numpy(head.unembedding.astype(states.dtype, copy=False))
    ids = torch.from_numpy(next_ids.astype(np.int64))
    total, gradient = 0.0, np.empty_like(states)
    for rows, logits, slope in head.blocks(states, block):
        wanted = ids[rows, None]
        normalizer = logits.logsumexp(dim=1, keepdim=True)
        total += float((normalizer - logits.gather(1, wanted)).sum(dtype=torch.float64))
        residual = logits.sub_(normalizer).exp_()
        residual.scatter_add_(1, wanted, -torch.ones_like(wanted, dtype=residual.dtype))
        gradient[rows] = ((residual if slope is None else residual * slope) @ rows_of_head / len(states)).numpy()
    return total / len(states), gradient


@dataclass(frozen=True, slots=True)
class HeadStatistics:
    r"""What the frozen head predicts over many states.

    Attributes
    ----------
    prediction : ndarray of shape (n_vocab,)
        Mean predicted distribution.
    fisher : ndarray of shape (n_dims, n_dims)
        Mean of :math:`U^T (\mathrm{diag}(p) - p p^T) U`: to move every state by s changes its prediction by
        :math:`s^T F s / 2` nats of Kullback-Leibler divergence, to second order. A soft cap is left out of it.
    """

    prediction: Float[np.ndarray, " n_vocab"]
    fisher: Float[np.ndarray, "n_dims n_dims"]


def head_statistics(states: States, head: NextTokenHead, *, block: int | None = None) -> HeadStatistics:
    """Mean prediction and Fisher information of the head; parameters as in :func:`next_token_losses`."""
    rows_of_head = torch.from_numpy(head.unembedding.astype(states.dtype, copy=False))
    prediction = torch.zeros(len(rows_of_head), dtype=torch.float64)
    squares = np.zeros((rows_of_head.shape[1], rows_of_head.shape[1]))
    for _, logits, _ in head.blocks(states, block):
        probabilities = logits.softmax(dim=1)
        prediction += probabilities.sum(dim=0, dtype=torch.float64)
        mean_rows = (probabilities @ rows_of_head).numpy().astype(np.float64)
        squares += mean_rows.T @ mean_rows
    mean = (prediction / len(states)).numpy()
    weighted = head.unembedding * mean[:, np.newaxis]
    return HeadStatistics(mean, weighted.T @ head.unembedding - squares / len(states))


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


@dataclass(frozen=True, slots=True)
class AffineMove:
    """The move h' = h + A h + b.

    Attributes
    ----------
    matrix : ndarray of shape (n_dims, n_dims)
        A.
    offset : ndarray of shape (n_dims,)
        b.
    """

    matrix: Float[np.ndarray, "n_dims n_dims"]
    offset: Float[np.ndarray, " n_dims"]

    def __call__(self, states: States) -> States:
        """Moved states, in the precision of `states`."""
        return states + states @ self.matrix.T.astype(states.dtype) + self.offset.astype(states.dtype)


class AffineProblem:
    r"""The convex problem whose solution is the affine move.

    With :math:`z = [1, R (h - m)]`, R the inverse root of the states' covariance, and W the inverse root of the Fisher
    information of the head, the move is :math:`W B z`. To second order :math:`\|B\|^2 / 2` is the divergence in nats
    between moved and frozen predictions. We minimise

    .. math:: \frac1n \sum_i -\ln p(y_i \mid h_i + W B z_i)
              + \frac{d^2}{4 n \kappa} \Big( \|B_{:,1:}\|^2 + \frac1d \|B_{:,0}\|^2 \Big),

    which is the most probable B if the matrix and the offset are each expected to move predictions by :math:`\kappa` nats.
    Logits are affine in B, so without a soft cap the problem is convex. Neither a change of basis of the states nor the
    size of the text changes what a value of :math:`\kappa` means.

    Parameters
    ----------
    states : ndarray of shape (n, n_dims)
        From which mean and covariance are taken.
    head : NextTokenHead
        Frozen.
    fisher : ndarray of shape (n_dims, n_dims)
        Of :class:`HeadStatistics`.
    """

    def __init__(self, states: States, head: NextTokenHead, fisher: Float[np.ndarray, "n_dims n_dims"]):
        self.head = head
        self.mean = states.mean(axis=0, dtype=np.float64)
        self.read = _inverse_root(np.cov(states.T, bias=True, dtype=np.float64).reshape(fisher.shape))
        self.write = _inverse_root(fisher)

    def features(self, states: States) -> Float[np.ndarray, "n n_features"]:
        """Rows z, in the precision of the states, shape (n, n_dims + 1)."""
        whitened = (states - self.mean.astype(states.dtype)) @ self.read.astype(states.dtype)
        return np.concatenate([np.ones((len(states), 1), dtype=states.dtype), whitened], axis=1)

    def penalty(self, n: int, expected_move: float) -> Float[np.ndarray, " n_features"]:
        """Weight of the squares of each column of B, for a text of n tokens."""
        n_dims = len(self.mean)
        weights = np.full(n_dims + 1, n_dims**2 / (2 * n * expected_move))
        weights[0] /= n_dims
        return weights

    def objective(
        self,
        coefficients: Float[np.ndarray, "n_dims n_features"],
        states: States,
        features: Float[np.ndarray, "n n_features"],
        next_ids: Ids,
        penalty: Float[np.ndarray, " n_features"],
    ) -> tuple[float, Float[np.ndarray, "n_dims n_features"]]:
        """Penalised mean loss at B, and its gradient."""
        moved = states + features @ (self.write @ coefficients).T.astype(states.dtype)
        loss, gradient = mean_loss_and_gradient(moved, next_ids, self.head)
        by_coefficients = self.write @ (gradient.T @ features).astype(np.float64)
        return loss + 0.5 * float((penalty * coefficients**2).sum()), by_coefficients + penalty * coefficients

    def solve(
        self,
        states: States,
        next_ids: Ids,
        *,
        expected_move: float,
        start: Float[np.ndarray, "n_dims n_features"] | None = None,
        max_iterations: int = 8,
        tolerance: float = 1e-4,
    ) -> Float[np.ndarray, "n_dims n_features"]:
        """Minimise by L-BFGS, until an iteration lowers the loss by less than the share `tolerance`."""
        n_dims = len(self.mean)
        begin = np.zeros((n_dims, n_dims + 1)) if start is None else start
        if max_iterations == 0:
            return begin
        features, penalty = self.features(states), self.penalty(len(states), expected_move)

        def flat(values: Any) -> Any:
            value, gradient = self.objective(values.reshape(begin.shape), states, features, next_ids, penalty)
            return value, gradient.ravel()

        options: Any = {"maxiter": max_iterations, "ftol": tolerance, "gtol": 0.0}
        found: Any = scipy.optimize.minimize(flat, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
        return found.x.reshape(begin.shape)

    def move(self, coefficients: Float[np.ndarray, "n_dims n_features"]) -> AffineMove:
        """B as A and b."""
        matrix = self.write @ coefficients[:, 1:] @ self.read
        return AffineMove(matrix, self.write @ coefficients[:, 0] - matrix @ self.mean)


def _inverse_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = scipy.linalg.eigh(matrix)
    floor = _FLOOR * max(float(values.mean()), np.finfo(np.float64).tiny)
    return (vectors / np.sqrt(np.maximum(values, 0.0) + floor)) @ vectors.T


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
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}; expected one of {', '.join(METHODS)}.")
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
        losses = _losses_with_offsets(X[cut:], y[cut:], self._head, [unigram_offset(y[:cut], prediction, **choice) for choice in choices])
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
        module = self._seeded_module(X.shape[1])
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

    def _seeded_module(self, n_dims: int) -> CalibrationModule:
        with torch.random.fork_rng(devices=[]):  # the weights depend on the seed alone; the global generator stays as it was
            torch.manual_seed(self.random_state)
            return CalibrationModule(n_dims)


def _losses_with_offsets(states: States, next_ids: Ids, head: NextTokenHead, offsets: list[np.ndarray]) -> Float[np.ndarray, " k"]:
    """Mean loss with each offset; the products with the unembedding, which cost most, are made once."""
    totals = np.zeros(len(offsets))
    ids, shifts = torch.from_numpy(next_ids), [torch.from_numpy(offset.astype(states.dtype)) for offset in offsets]
    for rows, logits, _ in head.blocks(states, None):
        for number, shift in enumerate(shifts):
            shifted = logits + shift
            totals[number] += float((shifted.logsumexp(dim=1) - shifted.gather(1, ids[rows, None])[:, 0]).sum())
    return totals / len(states)
