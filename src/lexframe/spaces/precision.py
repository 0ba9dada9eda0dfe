"""The number format in which a machine multiplies matrices fastest."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from lexframe.spaces.loading import chosen_device

LEAST_GAIN = 1.3
"""How many times as fast bfloat16 must be before its three digits are worth it."""


@cache
def fastest_precision(device: str | None = None) -> str:
    """``bfloat16`` where its matrix products are at least 1.3 times as fast as float32's, else ``float32``.

    Parameters
    ----------
    device : str, optional
        Such as ``cpu`` or ``cuda``. Default: the accelerator if there is one. Measured once a process.
    """
    where = chosen_device(device)
    matrices = {dtype: torch.ones(512, 256, dtype=dtype, device=where) for dtype in (torch.float32, torch.bfloat16)}
    best = dict.fromkeys(matrices, math.inf)
    for _ in range(20):  # in turn, and the best of many: other work on the machine then slows neither more than the other
        for dtype, matrix in matrices.items():
            start = time.perf_counter()
            (matrix @ matrix.T).sum().item()
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return "bfloat16" if best[torch.float32] > LEAST_GAIN * best[torch.bfloat16] else "float32"


@contextmanager
def fast_products(device: torch.device | str) -> Iterator[None]:
    """Matrix products inside are in the fastest precision; weights, sums and norms stay as they are."""
    where = torch.device(device).type
    with torch.autocast(where, torch.bfloat16, enabled=fastest_precision(where) == "bfloat16"):
        yield
