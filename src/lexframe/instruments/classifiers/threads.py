"""One thread for products of small tables, which are over before a second one has woken."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import scipy.linalg  # noqa: F401  its library has to be there to be found
from threadpoolctl import ThreadpoolController  # comes with scikit-learn

MAX_NUMBERS_FOR_ONE_THREAD = 4_000_000
"""With two threads a logistic regression of 800 texts took ten times as long as with one."""


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all libraries that are loaded: once, not at every fit


def one_thread(n_numbers: int = 0) -> AbstractContextManager[Any]:
    """Within it NumPy's products use one thread; nothing changes for a table of more than four million numbers.

    Parameters
    ----------
    n_numbers : int
        Of the table.
    """
    return _libraries().limit(limits=1, user_api="blas") if n_numbers <= MAX_NUMBERS_FOR_ONE_THREAD else nullcontext()
