"""Nats of texts under a decoder without a latent, against the mean that training measures."""

import numpy as np
import pytest
import torch

from lexframe.exceptions import InputError
from lexframe.training.text_vae.plain_likelihood import plain_nats
from lexframe.training.text_vae.validation import measure
from tests.spaces.text_vae.test_space import TEXTS, tiny_vae


def test_the_mean_is_what_training_measures():
    model = tiny_vae(n_latent=0)
    found = plain_nats(model, TEXTS, batch_size=2)
    expected = measure(model, model.texts(TEXTS), 1, seed=0, device=torch.device("cpu"))
    assert found.mean() == pytest.approx(expected["bound"], rel=1e-5)
    assert found.shape == (len(TEXTS),)
    assert np.ptp(found) > 1
    np.testing.assert_allclose(plain_nats(model, TEXTS[::-1]), found[::-1], rtol=1e-5)  # neighbors in a batch change nothing
    assert plain_nats(model, []).shape == (0,)


def test_a_latent_is_refused():
    with pytest.raises(InputError, match="has a latent of 4 dimensions"):
        plain_nats(tiny_vae(), TEXTS)
