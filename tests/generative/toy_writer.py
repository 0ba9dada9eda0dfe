"""A model of four-word sentences whose latent is known: each coordinate decides one word, and the words give the signs back.

Coordinate 0 decides he or she, 1 spoke or sang, 2 softly or loudly, 3 yesterday or today (negative, positive). Its probabilities are
logistic, its encoder is exact up to the length of the coordinates, and everything asked of it can be worked out by hand.
"""

import itertools

import numpy as np

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import DecodableSpace, LatentVariableSpace, Posterior

WORDS = (("he", "she"), ("spoke", "sang"), ("softly", "loudly"), ("yesterday", "today"))
SLOPE = 4.0


def text_of(signs):
    """The sentence of some signs, such as ``(1, 1, 1, -1)`` for ``she sang loudly yesterday``."""
    return " ".join(pair[int(sign > 0)] for pair, sign in zip(WORDS, signs, strict=True))


ALL_TEXTS = [text_of(signs) for signs in itertools.product((-1, 1), repeat=4)]


class ToyWriter(LatentVariableSpace):
    """See the module. Points shorter than `silent_below` are written as nothing; `n_ignored` dimensions more change no word."""

    def __init__(self, *, silent_below=0.0, n_ignored=0, log_variance=-3.0):
        self.silent_below, self.n_ignored, self.log_variance = silent_below, n_ignored, log_variance
        self.n_decoded, self.decode_calls = 0, 0

    @property
    def n_dims(self):
        return len(WORDS) + self.n_ignored

    @property
    def fingerprint(self):
        return SpaceFingerprint(kind="ToyWriter", model="toy writer", weights=f"toy-{self.n_dims}")

    def encode(self, texts, *, batch_size=None, progress=iter):
        """A sign for every known word, 0 where neither of a pair stands in the text."""
        points = np.zeros((len(texts), self.n_dims), dtype=np.float32)
        for row, text in enumerate(progress(texts)):
            found = set(text.split())
            points[row, : len(WORDS)] = [(high in found) * 1.0 - (low in found) * 1.0 for low, high in WORDS]
        return points

    def decode(self, points, *, temperature=0.0, top_p=1.0, seed=0, batch_size=None, progress=iter):
        if points.shape[1] != self.n_dims or not np.isfinite(points).all():
            raise InputError("points of another width, or not finite")
        self.n_decoded += len(points)
        self.decode_calls += 1
        logits = SLOPE * points[:, : len(WORDS)].astype(np.float64)
        if temperature > 0:
            rng = np.random.default_rng(seed)
            logits = logits + temperature * rng.logistic(size=logits.shape)
        silent = np.linalg.norm(points, axis=1) < self.silent_below
        return ["" if nothing else text_of(row) for row, nothing in zip(logits, silent, strict=True)]

    def posterior(self, texts, *, batch_size=None, progress=iter):
        means = self.encode(texts)
        return Posterior(means, np.full_like(means, self.log_variance))

    def token_log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
        signs = self.encode(texts)[:, : len(WORDS)].astype(np.float64)
        values = -np.logaddexp(0, -signs * SLOPE * points[:, : len(WORDS)])
        return [np.append(row, 0.0) for row in values]  # the end is sure after four words

    def log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
        found = [self.token_log_likelihoods([text] * len(some), some) for text, some in zip(texts, points, strict=True)]
        return np.array([[row.sum() for row in rows] for rows in found]).reshape(points.shape[:2])


class PlainWriter(DecodableSpace):
    """The same words without a prior, as an autoencoder has none."""

    def __init__(self):
        self._writer = ToyWriter()

    @property
    def n_dims(self):
        return self._writer.n_dims

    @property
    def fingerprint(self):
        return self._writer.fingerprint

    def encode(self, texts, *, batch_size=None, progress=iter):
        return self._writer.encode(texts)

    def decode(self, points, *, temperature=0.0, top_p=1.0, seed=0, batch_size=None, progress=iter):
        return self._writer.decode(points, temperature=temperature, seed=seed)
