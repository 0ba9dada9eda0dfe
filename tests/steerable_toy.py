"""A toy space whose states can be moved: everything in it is linear, so effects can be worked out by hand."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from lexframe.spaces import SteerableSpace, ToySpace
from lexframe.spaces.base import TokenStates, resolve_layer


class SteerableToy(ToySpace, SteerableSpace):
    """Adds every move to the word vectors (layer 0) or to their running means (layer 1); writes the likeliest word each time."""

    def __init__(self, vectors, *, unembedding=None):
        super().__init__(vectors, unembedding=unembedding)
        self._interventions = ()

    @property
    def fingerprint(self):
        return replace(super().fingerprint, moves=" ".join(str(move) for move in self._interventions))

    @contextmanager
    def intervened(self, interventions):
        before = self._interventions
        self._interventions = (*before, *interventions)
        try:
            yield
        finally:
            self._interventions = before

    def token_states(self, text, *, layers=None):
        ids = self._known(text)
        vectors = self._embedding[ids].reshape(len(ids), self.n_dims) + self._shift(0)
        running = np.cumsum(vectors, axis=0) / np.arange(1, len(ids) + 1)[:, np.newaxis] + self._shift(1)
        chosen = [resolve_layer(layer, 1) for layer in (range(2) if layers is None else layers)]
        states = np.stack([(vectors, running)[layer] for layer in chosen]).astype(np.float32)
        return TokenStates(tokens=tuple(self.words[i] for i in ids), ids=tuple(ids), layers=tuple(chosen), states=states)

    def token_counts(self, texts):
        return np.array([len(self._known(text)) for text in texts], dtype=np.int64)

    def generate(self, prompts, *, max_new_tokens=40, temperature=0.0, top_p=1.0, seed=0, batch_size=None, progress=iter):
        answers = []
        for prompt in prompts:
            answer = ""
            for _ in range(max_new_tokens):
                logits = self.token_states(prompt + answer, layers=[1]).states[0, -1] @ self._unembedding.T
                answer += f" {self.words[int(logits.argmax())]}"
            answers.append(answer)
        return answers

    def _shift(self, layer):
        wanted = [move for move in self._interventions if resolve_layer(move.layer, 1) == layer]
        return sum((move.strength * move.vector for move in wanted), np.zeros(self.n_dims))


def steerable_toy(n_dims=6, seed=1):
    """Twelve words at random places."""
    rng = np.random.default_rng(seed)
    words = ["good", "bad", "cat", "dog", "sun", "moon", "red", "blue", "one", "two", "old", "new"]
    vectors = {word: rng.normal(size=n_dims).tolist() for word in words}
    return SteerableToy(vectors, unembedding=rng.normal(size=(len(words), n_dims)))
