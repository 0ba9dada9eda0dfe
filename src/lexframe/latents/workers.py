"""A pool of single-threaded processes that share one copy of a model's weights.

On few cores two processes of one thread each encode about twice as fast as one process of two threads. The weights are
written to a file once, and every process maps that file, so that the second copy costs no memory.
"""

import copy
import multiprocessing
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lexframe.exceptions import InterruptedRunError
from lexframe.files import replacing
from lexframe.spaces.base import Space

Item = TypeVar("Item")
Result = TypeVar("Result")
LEAST_MAPPED = 4096
"""Numbers of a tensor from which on it moves to the file."""
MOST_DEATHS = 3
"""Workers that may die in a row before the run is given up."""

_space: Space | None = None


def mapped_copy(space: Space, folder: str) -> Space:
    """A copy of a space for other processes, whose large tensors have moved to a file that the receiver maps.

    Parameters
    ----------
    space : Space
    folder : str
        Name of a folder for the file, within the system's folder for temporary files.

    Returns
    -------
    Space
        To be sent and not to be used here: it turns into a whole space where it arrives.
    """
    import torch
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    moved: dict[int, Any] = {}
    for module in space.networks():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.numel() >= LEAST_MAPPED and id(tensor) not in moved:
                name = f"tensor-{len(tensors)}"
                tensors[name] = tensor.detach().cpu().contiguous().clone()
                moved[id(tensor)] = _Mapped(folder, name, isinstance(tensor, torch.nn.Parameter))
    with replacing(weights_path(folder)) as temporary:
        save_file(tensors or {"none": torch.zeros(1)}, temporary)
    copied = copy.deepcopy(space, moved)
    for module in copied.networks():
        _forget_recording(module)
    return copied


def _forget_recording(model: Any) -> None:
    """Take off what transformers leaves on a model that has been asked for hidden states once: its hooks cannot be sent."""
    for module in model.modules():
        for number, hook in list(module._forward_hooks.items()):
            if getattr(hook, "__module__", "") == "transformers.utils.output_capturing":
                del module._forward_hooks[number]
        if getattr(module, "_output_capturing_hooks_installed", False):
            module._output_capturing_hooks_installed = False  # they are put back when somebody asks again


def weights_path(folder: str) -> Path:
    """Where the tensors of :func:`mapped_copy` lie on this machine."""
    return Path(tempfile.gettempdir()) / folder / "weights.safetensors"


class _Mapped:
    """Stands for a tensor until it arrives in another process."""

    def __init__(self, folder: str, name: str, is_parameter: bool):
        self.place = (folder, name, is_parameter)

    def __reduce__(self) -> Any:
        return _mapped, self.place


@cache  # tied weights stay one
def _mapped(folder: str, name: str, is_parameter: bool) -> Any:
    import torch

    tensor = _tensors(folder)[name]
    return torch.nn.Parameter(tensor, requires_grad=False) if is_parameter else tensor


@cache
def _tensors(folder: str) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(weights_path(folder))


class WorkerPool:
    """Processes of one thread each that hold the same space; a context manager.

    Parameters
    ----------
    space : Space
        On the CPU.
    n_workers : int
        Processes; as many as cores are best.

    Notes
    -----
    Processes are started afresh, not forked: a fork of a process that runs threads may hang. A worker ends by itself when
    the process that started it is gone.
    """

    def __init__(self, space: Space, n_workers: int):
        self.space, self.n_workers = space, n_workers
        self._folder = tempfile.TemporaryDirectory(prefix="lexframe-workers-")
        self._copy: Space | None = None
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()
        self._folder.cleanup()

    def map(self, function: Callable[[Space, Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results of ``function(space, item)`` in the order of `items`, computed up to two a worker ahead.

        An item whose worker dies (killed for memory, say) is done again by a new one.

        Raises
        ------
        InterruptedRunError
            If workers die several times in a row.
        """
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        source, n_deaths, more = iter(items), 0, True
        while more or waiting:
            while more and len(waiting) < 2 * self.n_workers:
                try:
                    item = next(source)
                except StopIteration:
                    more = False
                    break
                waiting.append((item, self._submit(function, item)))
            if not waiting:
                return
            item, future = waiting[0]
            try:
                result = future.result()
            except BrokenProcessPool as error:
                n_deaths += 1
                if n_deaths >= MOST_DEATHS:
                    raise InterruptedRunError(
                        f"Workers died {n_deaths} times in a row, for want of memory perhaps: use fewer. What is done is kept; run the same"
                        " again. A script that starts workers does so under: if __name__ == '__main__':"
                    ) from error
                self._stop()
                waiting = deque((again, self._submit(function, again)) for again, _ in waiting)
                continue
            n_deaths = 0
            waiting.popleft()
            yield result

    def _submit(self, function: Callable[[Space, Item], Result], item: Item) -> "Future[Result]":
        try:
            return self._started().submit(_work, function, item)
        except BrokenProcessPool as error:  # found dead before the item was sent; map() starts anew
            failed: Future[Result] = Future()
            failed.set_exception(error)
            return failed

    def _started(self) -> ProcessPoolExecutor:
        """The processes; they begin with the first item, so that a run with nothing left to do costs nothing."""
        if self._copy is None:
            self._copy = mapped_copy(self.space, Path(self._folder.name).name)
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self.n_workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(self._copy, os.getpid()),
            )
        return self._executor

    def _stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


def _begin(space: Space, parent: int) -> None:
    """Set up a worker: one thread, the space, and an end when the parent is gone."""
    global _space
    import torch

    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(1)
    _space = space


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work(function: Callable[[Space, Item], Result], item: Item) -> Result:
    assert _space is not None
    return function(_space, item)
