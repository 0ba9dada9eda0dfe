"""The learning rate over a budget, against its drawing."""

import pytest

from lexframe.training.schedules import learning_rate_scale


def test_learning_rate_rises_stays_and_falls_linearly():
    def scale(fraction):
        return learning_rate_scale(fraction, warmup_share=0.1, cooldown_share=0.4)

    assert [scale(fraction) for fraction in (0.0, 0.05, 0.1, 0.6, 0.8, 1.0, 1.2)] == pytest.approx([0, 0.5, 1, 1, 0.5, 0, 0])
    assert learning_rate_scale(0.0, warmup_share=0.0, cooldown_share=0.0) == 1
