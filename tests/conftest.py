"""Fixtures for the whole suite."""

from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from lexframe.spaces import precision

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def float32_products(monkeypatch):
    """Numbers are compared to many digits, on machines that multiply fast in bfloat16 as well."""
    monkeypatch.setattr(precision, "fastest_precision", lambda device=None: "float32")


@pytest.fixture
def without_type_checks():
    """What a user meets: shapes and types are checked in the suite only."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def shared():
    """The folder of evaluation sets; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the evaluation sets do not stand beside the project")
    return SHARED
