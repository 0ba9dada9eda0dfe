"""A run in processes of its own, one a GPU or one a CPU core: how it is started, asked to stop, and waited for."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lexframe.exceptions import InputError, InterruptedRunError
from lexframe.files import write_json
from lexframe.training.language_model.plan import BLOCK, PretrainingPlan

WORKER = "lexframe.training.language_model.worker"


def pretrain(
    plan: PretrainingPlan,
    tokens_file: str | Path,
    tokenizer_folder: str | Path,
    out: str | Path,
    *,
    n_processes: int | None = None,
) -> Path:
    """Run a plan in processes of its own, one a GPU or one a CPU core, and wait for the model.

    Two single-threaded processes are about twice as fast as one process with two threads, hence a process a core.

    Parameters
    ----------
    plan : PretrainingPlan
        What to compute.
    tokens_file, tokenizer_folder : str or Path
        The corpus as token ids, and its tokenizer.
    out : str or Path
        Folder of the run. If it holds a checkpoint of the same plan, the run goes on from there.
    n_processes : int, optional
        Default: the number of GPUs, or else of CPU cores this process may use.

    Returns
    -------
    pathlib.Path
        The folder of the model.

    Raises
    ------
    InterruptedRunError
        If the run was stopped by a signal.
    InputError
        If a worker failed; its message stands on standard error.
    """
    out = Path(out)
    job = {"plan": asdict(plan), "tokens_file": str(tokens_file), "tokenizer": str(tokenizer_folder), "out": str(out)}
    write_json(out / "job.json", job)
    environment = dict(os.environ, OMP_NUM_THREADS="1" if not torch.cuda.is_available() else "4")
    # Freed pages go back to the system and are zeroed anew at every step otherwise.
    environment.setdefault("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={_number_of_processes(plan, n_processes)}"]
    # In a session of its own a Ctrl-C reaches the workers once, through us, and not from the terminal as well:
    # the launcher takes a second signal for the wish to kill them before they have saved.
    worker = subprocess.Popen([*command, "-m", WORKER, str(out / "job.json")], env=environment, start_new_session=True)
    with _forwarding_signals(worker) as received:
        code = worker.wait()
    if code and received:
        kept = "keeps the checkpoint" if (out / "checkpoint.safetensors").is_file() else "holds no checkpoint yet"
        raise InterruptedRunError(f"Stopped; {out} {kept}. Run the same command again to go on.")
    if code:
        raise InputError(f"Training ended with exit code {code}; see the lines above. {out} keeps the last checkpoint, if there was one.")
    return out / "model"


def _number_of_processes(plan: PretrainingPlan, n_processes: int | None) -> int:
    """As many as asked for, or else a GPU or a core each, but so that all have equally many blocks of a batch."""
    if n_processes is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        n_processes = torch.cuda.device_count() or cores or 1
    if n_processes < 1:
        raise InputError(f"n_processes is {n_processes}; expected 1 or more.", parameter="n_processes")
    n_blocks = plan.batch_tokens // BLOCK
    return max(n for n in range(1, n_processes + 1) if n_blocks % n == 0)


@contextmanager
def _forwarding_signals(worker: subprocess.Popen) -> Iterator[list[int]]:
    """Ask `worker` to stop, once, when this process is asked to; gives the list of signals that came."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread is given signals
        yield received
        return

    def forward(number: int, frame: Any) -> None:
        if not received:
            worker.terminate()
        received.append(number)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
