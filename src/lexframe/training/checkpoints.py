"""What every training run keeps to go on from: parameters, optimiser state and facts in one file, and the signals that ask it to stop."""

import json
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lexframe.exceptions import InputError
from lexframe.files import replacing

_MODEL, _OPTIMIZER = "model.", "optimizer."


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors with facts about them; what stood at `path` before stays until all is written.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written to.
    """
    with replacing(path) as temporary:
        try:
            kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(kept, temporary, metadata={"facts": json.dumps(facts)})
        except SafetensorError as error:  # a full disk, which is an OSError everywhere else
            raise OSError(str(error)) from error


def read_facts(path: str | Path) -> dict[str, Any]:
    """The facts of :func:`save_tensors`, without the tensors.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or was not written so.
    """
    try:
        with safe_open(path, framework="np") as file:
            return dict(json.loads(file.metadata()["facts"]))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}). Check that the file and its folder can be.") from error
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a whole checkpoint of a training run. Remove it to start anew, or name another folder.") from error


def checkpoint_tensors(
    trained: Iterable[tuple[str, Tensor]], parameters: Iterable[tuple[str, nn.Parameter]], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Parameters and optimiser state by name.

    Parameters
    ----------
    trained : iterable of (str, Tensor)
        What training changes.
    parameters : iterable of (str, Parameter)
        All that the optimiser may know, under one name each.
    optimizer : torch.optim.Optimizer
    """
    names: dict[Tensor, str] = {parameter: name for name, parameter in parameters}
    tensors = {f"{_MODEL}{name}": tensor for name, tensor in trained}
    for parameter, state in optimizer.state.items():
        tensors |= {f"{_OPTIMIZER}{names[parameter]}.{key}": value for key, value in state.items()}
    return tensors


def model_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters among the tensors of a checkpoint."""
    return {name.removeprefix(_MODEL): tensor for name, tensor in tensors.items() if name.startswith(_MODEL)}


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, parameters: Iterable[tuple[str, nn.Parameter]], tensors: Mapping[str, Tensor]
) -> None:
    """Give an optimiser the state that a checkpoint holds of its parameters; steps, which are single numbers, stay on the CPU."""
    own = dict(parameters)
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMIZER):
            parameter, _, key = name.removeprefix(_OPTIMIZER).rpartition(".")
            if parameter in own:
                optimizer.state[own[parameter]][key] = tensor.to(own[parameter].device if tensor.ndim else "cpu")


@contextmanager
def noticing_signals(notice: Callable[[], None]) -> Iterator[None]:
    """Call `notice` on SIGINT and SIGTERM; only the main thread is given signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, lambda *_: notice()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
