"""Fixtures and options for the whole suite."""

import os

# Tests run side by side, a process a core; more threads would only wait for one another. Child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from lexframe.spaces import precision

SHARED = Path(__file__).resolve().parents[2] / "shared"

torch.set_num_threads(1)
# `quick` tries the same examples every time, so that a run that passed passes again; `--hypothesis-profile thorough` looks further.
# Shapes and types are checked at every call, so that drawing examples may take long.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", UNHURRIED, max_examples=20, derandomize=True)
settings.register_profile("thorough", UNHURRIED, max_examples=300)
settings.load_profile("quick")


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run what takes minutes: kills at random moments")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes; runs with --long (make test-slow)"))


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


@pytest.fixture(scope="session")
def toy(request, tmp_path_factory, worker_id):
    """A small transformer that learned functions from demonstrations, with task vectors planted at layer 2."""
    from tests.shared_toy import shared_toy

    folder = tmp_path_factory.getbasetemp()
    # The parent is that of all workers.
    return shared_toy(folder if worker_id == "master" else folder.parent, anew=request.config.getoption("--long"))
