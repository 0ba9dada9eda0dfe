"""How texts are written: what is refused, and that a space is asked for exactly that."""

import numpy as np
import pytest

from lexframe.exceptions import InputError
from lexframe.spaces import Decoding
from tests.generative.toy_writer import ToyWriter


@pytest.mark.parametrize("options", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_settings_that_cannot_be(options):
    with pytest.raises(InputError, match="expected at least 0"):
        Decoding(**options)


@pytest.mark.parametrize(("temperature", "is_greedy"), [(0.0, True), (1e-6, True), (0.1, False)])
def test_greedy_is_cold(temperature, is_greedy):
    assert Decoding(temperature).is_greedy == is_greedy


def test_the_space_is_asked_for_what_is_set():
    asked = {}

    class Asked(ToyWriter):
        def decode(self, points, **options):
            asked.update(options)
            return super().decode(points, **options)

    points = np.array([[1.0, -1.0, 1.0, 1.0]], np.float32)
    decoding = Decoding(0.5, 0.9, seed=3, batch_size=2)
    assert decoding.texts(Asked(), points) == ToyWriter().decode(points, temperature=0.5, seed=3)
    assert asked == {"temperature": 0.5, "top_p": 0.9, "seed": 3, "batch_size": 2, "progress": iter}
    assert decoding.parameters == {"temperature": 0.5, "top_p": 0.9}
