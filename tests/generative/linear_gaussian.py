"""A latent-variable space whose texts are rows of numbers, so that likelihood and posterior are closed forms."""

import numpy as np
from scipy.stats import multivariate_normal

from lexframe.provenance import SpaceFingerprint, array_hash
from lexframe.spaces.base import LatentVariableSpace, Posterior


class LinearGaussianSpace(LatentVariableSpace):
    """A text is x = (diag(scales), 0) z + noise of deviation `noise`, written as numbers.

    The true posterior is then a Gaussian with diagonal covariance; `shift` and `widen` move q away from it. Dimensions of z with
    scale 0 are not used.
    """

    def __init__(self, scales, *, noise=0.5, shift=0.0, widen=1.0):
        self.scales = np.asarray(scales, dtype=np.float64)
        self.noise, self.shift, self.widen = noise, shift, widen

    @property
    def n_dims(self):
        return len(self.scales)

    @property
    def fingerprint(self):
        return SpaceFingerprint(kind="LinearGaussianSpace", model="linear", weights=array_hash([("scales", self.scales)]))

    def sample_texts(self, n_texts, *, seed=0):
        rng = np.random.default_rng((seed, 2))
        x = rng.normal(size=(n_texts, self.n_dims)) * self.scales + self.noise * rng.normal(size=(n_texts, self.n_dims))
        return [" ".join(map(repr, row)) for row in x.tolist()]

    @staticmethod
    def numbers(texts):
        return np.array([[float(word) for word in text.split()] for text in texts])

    def posterior(self, texts, *, batch_size=None, progress=iter):
        precisions = 1 + (self.scales / self.noise) ** 2
        means = self.numbers(texts) * self.scales / self.noise**2 / precisions + self.shift
        log_variances = np.broadcast_to(2 * np.log(self.widen) - np.log(precisions), means.shape)
        return Posterior(means.astype(np.float32), log_variances.astype(np.float32))

    def encode(self, texts, *, batch_size=None, progress=iter):
        return self.posterior(texts).means

    def decode(self, points, *, temperature=0.0, top_p=1.0, seed=0, batch_size=None, progress=iter):
        return [" ".join(map(repr, row)) for row in (points * self.scales).tolist()]

    def token_log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
        gaps = (self.numbers(texts) - points * self.scales) / self.noise
        return [np.append(row, 0.0) for row in -0.5 * gaps**2 - np.log(self.noise) - 0.5 * np.log(2 * np.pi)]

    def log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
        gaps = (self.numbers(texts)[:, np.newaxis] - points * self.scales) / self.noise
        return (-0.5 * gaps**2 - np.log(self.noise) - 0.5 * np.log(2 * np.pi)).sum(axis=-1)

    def exact_log_likelihood(self, texts):
        return multivariate_normal(np.zeros(self.n_dims), np.diag(self.scales**2 + self.noise**2)).logpdf(self.numbers(texts))
