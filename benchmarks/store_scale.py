"""Time and memory of a store as texts grow a hundredfold, and opening a large one.

    python benchmarks/store_scale.py [--quick]

Texts are made up as they are read, and a toy space encodes them, so that what is measured is the way from texts to a store. Each size
runs in a process of its own. The store of 1,000,000 x 384 is written in blocks, then opened and read by a fresh process; its pages may be
in the system's cache, as they are after any earlier use.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common import Control, Goal, Statement, every_pair, exponent, finish, judged
from lexframe.intervals import t_interval

WORDS = [f"w{number}" for number in range(200)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 texts, a store of 20,000")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "SIZE"), help="measure one size in this process and print JSON")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.measure:
        what, size = options.measure
        print(json.dumps({"encode": encode, "write": write, "open": open_and_read, "all": read_all}[what](options.folder, int(size))))
        return
    sizes = (1_000, 10_000) if options.quick else (10_000, 100_000, 1_000_000)
    rows = 20_000 if options.quick else 1_000_000
    found: list[Statement] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds, peaks = np.empty((2, 2 if options.quick else 3, len(sizes)))
        for run, place in np.ndindex(seconds.shape):
            size = sizes[place]
            result = measured("encode", folder / f"{size}-{run}", size)
            seconds[run, place], peaks[run, place] = result["seconds"], result["peak_mb"]
            print(
                f"{size:9,} texts  {result['seconds']:7.1f} s  peak {result['peak_mb']:6.0f} MiB  {result['fragments']:.0f} files",
                flush=True,
            )
        title = f"encoding {sizes[0]:,} to {sizes[-1]:,} texts"
        found += judged(f"{title} into a store: exponent of time", exponent(sizes, seconds), Goal(at_most=1.05), every_pair())
        if not options.quick:  # of 10,000 texts all points are too few MiB to tell
            more = t_interval(peaks[:, -1] / peaks[:, 0], unit="runs")
            held = Control("all points held, by arithmetic", float(1 + sizes[-1] * 64 * 4 / 2**20 / peaks[:, 0].mean()))
            found += judged(f"{title}: peak memory, last over first", more, Goal(at_most=1.25), held)
        written = measured("write", folder / "wide", rows)
        opened, whole = ([measured(what, folder / "wide", rows)["seconds"] for _ in range(5)] for what in ("open", "all"))
        print(
            f"{rows:,} x 384: written in {written['seconds']:.1f} s; opened and 1,000 random rows read in {1000 * np.mean(opened):.0f} ms",
            flush=True,
        )
        if not options.quick:  # all of 20,000 rows are read as fast
            title = f"opening a store of {rows:,} x 384 and reading 1,000 random rows, seconds after import"
            everything = Control("all rows read, then chosen", t_interval(whole, unit="runs"))
            found += judged(title, t_interval(opened, unit="runs"), Goal(at_most=0.1), everything)
    finish(found, keep_as=None if options.quick else "store_scale")


def measured(what: str, folder: Path, size: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", what, str(size), "--folder", str(folder)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def encode(folder: Path, size: int) -> dict[str, float]:
    from lexframe import ToySpace
    from lexframe.latents import LatentStore, encode_to_store, text_blocks

    rng = np.random.default_rng(0)
    space = ToySpace({word: rng.normal(size=64).tolist() for word in WORDS})
    start = time.perf_counter()
    encode_to_store(space, text_blocks(made_up(size)), folder)
    return {"seconds": time.perf_counter() - start, "peak_mb": peak(), "fragments": float(LatentStore(folder).info().n_fragments)}


def made_up(size: int) -> Iterator[str]:
    rng = np.random.default_rng(1)
    for start in range(0, size, 1000):
        for row in rng.integers(0, len(WORDS), size=(min(1000, size - start), 8)).tolist():
            yield " ".join(WORDS[number] for number in row)


def write(folder: Path, size: int) -> dict[str, float]:
    from lexframe.latents import LatentStore, VectorColumn
    from lexframe.latents.rows import table_of
    from lexframe.provenance import SpaceFingerprint

    start = time.perf_counter()
    store = LatentStore.create(folder, [VectorColumn("vector", 384, SpaceFingerprint("imported", "random", "random"))])
    rng = np.random.default_rng(0)
    for first in range(0, size, 8192):
        count = min(8192, size - first)
        points = rng.standard_normal((count, 384), dtype=np.float32)
        store.append(table_of([str(first + row) for row in range(count)], {"vector": points}, {}, store.schema))
    return {"seconds": time.perf_counter() - start, "peak_mb": peak()}


def open_and_read(folder: Path, size: int) -> dict[str, float]:
    import lance  # noqa: F401

    from lexframe.latents import LatentStore

    numbers = np.random.default_rng(2).integers(0, size, 1000)
    start = time.perf_counter()
    points: Any = LatentStore(folder).take(numbers)
    seconds = time.perf_counter() - start
    assert points.shape == (1000, 384)
    return {"seconds": seconds, "peak_mb": peak()}


def read_all(folder: Path, size: int) -> dict[str, float]:
    import lance  # noqa: F401

    from lexframe.latents import LatentStore

    numbers = np.random.default_rng(2).integers(0, size, 1000)
    start = time.perf_counter()
    points = LatentStore(folder).points()[numbers]
    seconds = time.perf_counter() - start
    assert points.shape == (1000, 384)
    return {"seconds": seconds, "peak_mb": peak()}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
