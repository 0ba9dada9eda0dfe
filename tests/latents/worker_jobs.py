"""What workers are asked to do; apart from the tests, so that a worker loads little to know it."""

import os
import signal
from pathlib import Path

from lexframe.exceptions import InputError


def die_once(space, item):
    marker = Path(item)
    if not marker.exists():
        marker.write_text("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def die(space, item):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(space, item):
    raise InputError(f"{item} is wrong")


def about(space, item):
    import torch

    parameters = list(space.model.parameters())
    return torch.get_num_threads(), space.encode(["the cat sat"]).tolist(), len({parameter.data_ptr() for parameter in parameters})
