"""The precision of matrix products: which, and that only products are in it."""

import pytest
import torch

from lexframe.spaces import precision


def test_products_are_in_the_fastest_precision_and_weights_stay_as_they_are(monkeypatch):
    layer = torch.nn.Linear(8, 8)
    x = torch.ones(2, 8)
    for name, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        monkeypatch.setattr(precision, "fastest_precision", lambda device=None, name=name: name)
        with precision.fast_products(torch.device("cpu")):
            assert layer(x).dtype == dtype
    assert layer.weight.dtype == torch.float32
    assert layer(x).dtype == torch.float32


@pytest.mark.parametrize(("bfloat16_seconds", "expected"), [(0.5, "bfloat16"), (0.9, "float32"), (2.0, "float32")])
def test_bfloat16_has_to_be_worth_its_digits(monkeypatch, bfloat16_seconds, expected):
    monkeypatch.undo()
    # A clock that is read before and after every product: float32 takes a second, bfloat16 what the case says.
    ticks = iter([t for _ in range(20) for t in (0.0, 1.0, 0.0, bfloat16_seconds)])
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(ticks))
    assert precision.fastest_precision.__wrapped__("cpu") == expected
