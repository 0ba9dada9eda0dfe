"""Random draws that depend on a seed and leave the caller's random state as it was."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's global generators, CPU and GPUs, as seeded by `seed`; afterwards they are as they were."""
    import torch  # not at the top: the ground stays light

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # manual_seed seeds them all
        torch.manual_seed(seed)
        yield
