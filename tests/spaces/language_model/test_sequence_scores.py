"""Scores of sequences against one token at a time, in windows of every size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.spaces.language_model.sequence_scores import sequence_log_probabilities, sliding_windows
from tests.reference.sequence_scores import ids_of, slow_log_probability
from tests.tiny_models import TEXTS, tiny_model

DOCUMENTS = [*TEXTS, "the cat sat on the mat and " * 6, "a dog " * 15, "naïve café, 42 words of it. " * 4]


@given(n_inputs=st.integers(0, 300), context=st.integers(1, 64), data=st.data())
def test_windows_score_every_token_once_with_enough_before_it(n_inputs, context, data):
    stride = data.draw(st.integers(1, context))
    windows = sliding_windows(n_inputs, context=context, stride=stride)
    assert [position for window in windows for position in range(window.first, window.stop)] == list(range(n_inputs))
    for window in windows:
        assert window.start <= window.first < window.stop <= window.start + context
        assert window.start == 0 or window.first - window.start >= context - stride


@pytest.mark.parametrize(
    ("family", "context", "stride"),
    [*((family, 16, 6) for family in ("llama", "gpt2", "gemma2", "mistral")), ("gpt2", 64, 32), ("gpt2", 8, 8), ("gpt2", 5, 1)],
)
def test_scores_are_those_of_one_token_at_a_time(family, context, stride):
    model = tiny_model(family)
    sequences = [ids_of(text) for text in DOCUMENTS]
    fast = sequence_log_probabilities(model, [np.array(ids) for ids in sequences], context=context, stride=stride, batch_tokens=100)
    slow = [slow_log_probability(model, ids, context=context, stride=stride) for ids in sequences]
    np.testing.assert_allclose(fast, slow, atol=2e-4 * max(map(len, sequences)) ** 0.5)


def test_scores_do_not_depend_on_order_or_on_batches():
    model = tiny_model("llama")
    sequences = [np.array(ids_of(text)) for text in DOCUMENTS]
    scores = sequence_log_probabilities(model, sequences, context=16, stride=8, batch_tokens=1)
    for batch_tokens in (40, 10_000):
        again = sequence_log_probabilities(model, sequences[::-1], context=16, stride=8, batch_tokens=batch_tokens)
        np.testing.assert_allclose(again[::-1], scores, atol=1e-3)
