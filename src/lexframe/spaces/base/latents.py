"""Spaces whose points can be turned back into texts."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lexframe.spaces.base.space import Progress, Space
from lexframe.typing import Points


class DecodableSpace(Space):
    """A space whose points can be turned back into texts."""

    @abstractmethod
    def decode(
        self,
        points: Points,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> list[str]:
        """A text for every point.

        Parameters
        ----------
        points : ndarray of shape (n_texts, n_dims), float32
            Any number, none included.
        temperature : float
            0 takes the likeliest token each time; above, tokens are drawn.
        top_p : float
            Draw from the likeliest tokens that together have this probability.
        seed : int
            Of the draws; the global generators are left alone.
        batch_size : int, optional
            Points in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        list of str

        Raises
        ------
        InputError
            If points have another width than the space, or are not finite.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Where each text may lie in a latent: Gaussians with diagonal covariance.

    Attributes
    ----------
    means : ndarray of shape (n_texts, n_dims), float32
    log_variances : ndarray of shape (n_texts, n_dims), float32
        Natural logarithm.
    """

    means: Points
    log_variances: Points

    def sample(self, n_samples: int, *, seed: int = 0) -> Float[np.ndarray, "n_texts n_samples n_dims"]:
        """Draws from every Gaussian, float32.

        Parameters
        ----------
        n_samples : int
            A text.
        seed : int
            Of the draws.
        """
        n_texts, n_dims = self.means.shape
        noise = np.random.default_rng(seed).standard_normal((n_texts, n_samples, n_dims), dtype=np.float32)
        return self.means[:, np.newaxis] + np.exp(0.5 * self.log_variances)[:, np.newaxis] * noise


class LatentVariableSpace(DecodableSpace):
    """A generative model of texts: z from N(0, I), the text from p(x | z), and q(z | x) that guesses z back.

    Its points are the means of q.
    """

    @abstractmethod
    def posterior(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Posterior:
        """The q(z | x) of every text; see :meth:`Space.encode` for the parameters."""

    @abstractmethod
    def token_log_likelihoods(
        self, texts: Sequence[str], points: Points, *, batch_size: int | None = None, progress: Progress = iter
    ) -> list[Float[np.ndarray, " n_tokens"]]:
        """Log p(token | tokens before it, z) of every token, in nats, float64.

        Parameters
        ----------
        texts : sequence of str
            A text longer than the space can take is cut, and :meth:`Space.truncated` says which.
        points : ndarray of shape (n_texts, n_dims), float32
            The z of each text.
        batch_size : int, optional
            Texts in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        list of ndarray of shape (n_tokens,)
            An array a text; its last entry is the end of the text, so it sums to log p(x | z).
        """

    @abstractmethod
    def log_likelihoods(
        self,
        texts: Sequence[str],
        points: Float[np.ndarray, "n_texts n_samples n_dims"],
        *,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> Float[np.ndarray, "n_texts n_samples"]:
        """Log p(x | z) of every text at several z, in nats, float64.

        Parameters
        ----------
        texts : sequence of str
            As in :meth:`token_log_likelihoods`.
        points : ndarray of shape (n_texts, n_samples, n_dims), float32
            Some z for each text.
        batch_size : int, optional
            Pairs of text and z in one pass.
        progress : callable
            Wraps the iteration over batches.

        Returns
        -------
        ndarray of shape (n_texts, n_samples)
        """
