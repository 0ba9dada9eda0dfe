"""A trained toy, once for all tests of instruments."""

import pytest

from lexframe.studies.in_context_toy import train_in_context_toy


@pytest.fixture(scope="session")
def toy():
    """Half a minute of training: functions from demonstrations, with task vectors planted at layer 2."""
    return train_in_context_toy(seed=0)
