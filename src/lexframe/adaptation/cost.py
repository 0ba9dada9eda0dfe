"""What a method costs beside time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def peak_memory(*, every: float = 0.01) -> Iterator[list[float]]:
    """How far resident memory rises within the block, in MiB, in the one entry of the list; 0 where it cannot be read."""
    rise = [0.0]
    start = _resident()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(every):
            rise[0] = max(rise[0], (_resident() - start) / 2**20)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield rise
    finally:
        stop.set()
        watcher.join()
        rise[0] = max(rise[0], (_resident() - start) / 2**20)


def _resident() -> float:
    try:
        import resource

        return float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ImportError):  # not Linux
        return 0.0
