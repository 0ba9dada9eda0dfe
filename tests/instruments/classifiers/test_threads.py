"""Threads of NumPy's products, before, within and after."""

import re

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from lexframe.instruments.classifiers.threads import MAX_NUMBERS_FOR_ONE_THREAD, one_thread


def threads():
    """Of the libraries that NumPy and SciPy multiply with; others bring their own."""
    return {
        found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas" and re.search("numpy|scipy", found["filepath"])
    }


@pytest.mark.parametrize(("n_numbers", "within"), [(100, 1), (MAX_NUMBERS_FOR_ONE_THREAD + 1, 2)])
def test_small_tables_have_one_thread_and_large_ones_what_there_is(n_numbers, within):
    with threadpool_limits(limits=2, user_api="blas"):
        with one_thread(n_numbers):
            assert threads() == {within}
        assert threads() == {2}
