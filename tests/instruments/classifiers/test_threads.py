"""Threads of NumPy's products, before, within and after."""

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from lexframe.instruments.classifiers.threads import MAX_NUMBERS_FOR_ONE_THREAD, one_thread


def threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize(("n_numbers", "within"), [(100, 1), (MAX_NUMBERS_FOR_ONE_THREAD + 1, 2)])
def test_small_tables_have_one_thread_and_large_ones_what_there_is(n_numbers, within):
    with threadpool_limits(limits=2, user_api="blas"):
        with one_thread(n_numbers):
            assert threads() == {within}
        assert threads() == {2}
