"""A latent-variable space so small that the likelihood of a text is a sum: words 'a' and 'b', drawn one by one."""

import numpy as np
from scipy.special import log_expit

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint, array_hash
from lexframe.spaces.base import LatentVariableSpace, Posterior

NODES, _MASSES = np.polynomial.hermite_e.hermegauss(150)
LOG_MASSES = np.log(_MASSES / _MASSES.sum())


class ToyLatentSpace(LatentVariableSpace):
    """Every word is 'a' with probability sigmoid(w·z), else 'b'; a text ends before each word with probability `stop`.

    With `n_driven` only so many first words hear of z, and the rest are even. Its q has the means and variances of the true posterior,
    by quadrature, but is normal and has no covariances. `widen` multiplies its deviations.
    """

    def __init__(self, w, *, n_driven=None, stop=0.1, widen=1.0):
        self.w = np.asarray(w, dtype=np.float64)
        self.n_driven, self.stop, self.widen = n_driven, stop, widen

    @property
    def n_dims(self):
        return len(self.w)

    @property
    def fingerprint(self):
        return SpaceFingerprint(kind="ToyLatentSpace", model="toy", weights=array_hash([("w", self.w)]))

    def signs(self, text):
        """+1 for 'a' and -1 for 'b', 0 for a word that does not hear of z."""
        signs = np.array([1.0 if word == "a" else -1.0 for word in text.split()])
        if self.n_driven is not None:
            signs[self.n_driven :] = 0
        return signs

    def posterior(self, texts, *, batch_size=None, progress=iter):
        texts = list(progress(texts))
        length = np.linalg.norm(self.w)
        masses = np.exp(self._log_joint(texts) - self.exact_log_likelihood(texts)[:, np.newaxis])
        mean = masses @ NODES
        variance = masses @ NODES**2 - mean**2
        along = self.w / length  # z varies with the text along w only
        means, variances = np.outer(mean, along), 1 + np.outer(variance - 1, along**2)
        return Posterior(means.astype(np.float32), (np.log(variances) + 2 * np.log(self.widen)).astype(np.float32))

    def encode(self, texts, *, batch_size=None, progress=iter):
        return self.posterior(texts, progress=progress).means

    def decode(self, points, *, temperature=0.0, top_p=1.0, seed=0, batch_size=None, progress=iter):
        if points.shape[1] != self.n_dims or not np.isfinite(points).all():
            raise InputError(f"The points have shape {points.shape} or are not finite; expected numbers in {self.n_dims} dimensions.")
        chances = 1 / (1 + np.exp(-(points @ self.w)))
        rng = np.random.default_rng(seed)
        texts = []
        for chance in progress(chances):
            n_words = 5 if temperature == 0 else rng.geometric(self.stop) - 1
            driven = n_words if self.n_driven is None else self.n_driven
            p = np.where(np.arange(n_words) < driven, chance, 0.5)
            is_a = p >= 0.5 if temperature == 0 else rng.random(n_words) < p
            texts.append(" ".join(np.where(is_a, "a", "b")))
        return texts

    def token_log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
        result = []
        for text, z in progress(list(zip(texts, points, strict=True))):
            words = np.log1p(-self.stop) + log_expit(self.signs(text) * (self.w @ z))
            result.append(np.append(words, np.log(self.stop)))
        return result

    def log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
        return self.exact_given(texts, points.astype(np.float64) @ self.w)

    def exact_given(self, texts, logits):
        """Log p(x | w·z) of every text at its logits, shape (n_texts, n_samples)."""
        signs = [self.signs(text) for text in texts]
        n_a, n_b, n_even = (np.array([np.count_nonzero(s == sign) for s in signs])[:, np.newaxis] for sign in (1, -1, 0))
        ends = (n_a + n_b + n_even) * np.log1p(-self.stop) + np.log(self.stop)
        return n_a * log_expit(logits) + n_b * log_expit(-logits) - n_even * np.log(2) + ends

    def _log_joint(self, texts):
        """Log p(x, node) over the nodes of a quadrature along w."""
        return self.exact_given(texts, np.broadcast_to(np.linalg.norm(self.w) * NODES, (len(texts), len(NODES)))) + LOG_MASSES

    def exact_log_likelihood(self, texts):
        """Log p(x), by Gauss-Hermite quadrature over w·z, which is normal with variance w·w."""
        return np.logaddexp.reduce(self._log_joint(texts), axis=1)

    def sample_texts(self, n_texts, *, n_words=None, seed=0):
        """Texts of the model; of `n_words` words each, or of whatever length it gives them."""
        rng = np.random.default_rng(seed)
        texts = []
        for z in rng.normal(size=(n_texts, self.n_dims)):
            length = rng.geometric(self.stop) - 1 if n_words is None else n_words
            heard = np.arange(length) < (length if self.n_driven is None else self.n_driven)
            p = np.where(heard, 1 / (1 + np.exp(-self.w @ z)), 0.5)
            texts.append(" ".join(np.where(rng.random(length) < p, "a", "b")))
        return texts
