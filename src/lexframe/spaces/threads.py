"""Several batches at once, each on one thread.

Two threads that work on one product wait for each other after every operation, and on a busy machine for whichever is held up. With a
batch each they never wait.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Results of ``function(item)`` in the order of `items`, as many at once as torch has threads here.

    Parameters
    ----------
    function : callable
        Runs without gradients, in other threads than the caller's; torch has one thread within. A single item is left to the caller's
        thread, with all of torch's.
    items : sequence

    Raises
    ------
    Exception
        What the function raises; items that have not begun are left out then.
    """
    n_threads = torch.get_num_threads()
    if n_threads < 2 or len(items) < 2:
        yield from map(function, items)
        return

    def without_gradients(item: Item) -> Result:
        with torch.no_grad():  # holds for a thread alone
            return function(item)

    try:
        with ThreadPoolExecutor(min(n_threads, len(items)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(without_gradients, items)
    finally:
        torch.set_num_threads(n_threads)  # what was set there is what threads begin with that are started from now on
