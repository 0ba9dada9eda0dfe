"""Faults: a run killed again and again ends with the rows of an undisturbed one, and damage is found and named.

    python benchmarks/store_faults.py [--quick] [--kills 200]

Each run encodes 1,200 texts with the first layer of the embedded model, in this process's child, in blocks of 60, and is killed with
SIGKILL at a random moment from its start to the time that a whole run takes, then started again until it gets through; then a new store
begins. The disk is filled and made read-only on a small file system of its own, where one may be mounted.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from common import Control, Exact, Goal, finish
from lexframe.latents import LatentStore

JOB = """
import sys, numpy as np, torch
torch.set_num_threads(1)
from lexframe import LanguageModelSpace
from lexframe.exceptions import LexframeError
from lexframe.latents import encode_to_store, text_blocks
rng = np.random.default_rng(0)
words = "the a cat dog sat ran on under mat house red blue and then one two".split()
texts = [" ".join(rng.choice(words, size=rng.integers(2, 20))) for _ in range(1200)]
space = LanguageModelSpace("embedded", layer=1, pooling="mean")
try:
    encode_to_store(space, text_blocks(texts, block_rows=60), sys.argv[1])
except LexframeError as error:
    sys.exit(f"refused: {error}")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three kills")
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    n_kills = 3 if options.quick else options.kills
    found: list[Exact] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        assert run(folder / "undisturbed").returncode == 0
        whole_run = time.perf_counter() - start
        expected = LatentStore(folder / "undisturbed").dataset.to_table()
        lanes = 1 if options.quick else 2
        with ThreadPoolExecutor(lanes) as pool:
            jobs = [
                pool.submit(kill_again_and_again, folder / f"lane{lane}", -(-n_kills // lanes), whole_run, lane) for lane in range(lanes)
            ]
            results = [job.result() for job in jobs]
        kills, finished = sum(result[0] for result in results), [path for result in results for path in result[1]]
        same = [LatentStore(path).dataset.to_table().equals(expected) and LatentStore(path).verify().holds for path in finished]
        print(f"{kills} kills, {len(finished)} stores finished, {sum(same)} of them as the undisturbed one, bit for bit", flush=True)
        title = f"stores equal to the undisturbed one bit for bit after {kills} kills ({len(same)} stores)"
        short = float(expected.slice(1).equals(expected))
        found.append(Exact(title, float(np.mean(same)), Goal(at_least=1), Control("a store without its first row", short)))
        found += damage(folder / "undisturbed", 10 if options.quick else 100)
        found += second_writer(folder)
        found += small_disk(folder)
    finish(found, keep_as=None if options.quick else "store_faults")


def run(path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", JOB, str(path)], capture_output=True, text=True, check=False)


def kill_again_and_again(folder: Path, n_kills: int, longest: float, seed: int) -> tuple[int, list[Path]]:
    """Kills, and the stores that got through between them."""
    rng = np.random.default_rng(seed)
    kills, finished = 0, []
    while kills < n_kills:
        path = folder / str(len(finished))
        while True:
            child = subprocess.Popen([sys.executable, "-c", JOB, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                child.wait(timeout=rng.uniform(0.2, 1) * longest)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
                kills += 1
                continue
            assert child.returncode == 0
            break
        finished.append(path)
    return kills, finished


def damage(path: Path, n_flips: int) -> list[Exact]:
    """One flipped byte at a time, and a truncated file: found and named, or nothing that is read has changed."""
    rng = np.random.default_rng(0)
    files = sorted((path / "data").iterdir())
    whole = LatentStore(path).dataset.to_table()
    missed = harmful = 0
    for _ in range(n_flips):
        victim = files[rng.integers(len(files))]
        content = bytearray(victim.read_bytes())
        place = int(rng.integers(len(content)))
        content[place] ^= 1 << int(rng.integers(8))
        original = victim.read_bytes()
        victim.write_bytes(content)
        result = LatentStore(path).verify()
        named = not result.holds and all(victim.name in problem for problem in result.problems)
        changed = not reads_as(path, whole)
        harmful += changed
        missed += not named and not (result.holds and not changed)
        victim.write_bytes(original)
    unharmed = LatentStore(path).verify().problems
    original = files[0].read_bytes()
    files[0].write_bytes(original[: len(original) // 2])
    cut = any(files[0].name in problem for problem in LatentStore(path).verify().problems)
    files[0].write_bytes(original)
    unchecked = Control("bytes that change what is read, were nothing verified", float(harmful))
    return [
        Exact(f"flipped bytes that changed a value and were not named, of {n_flips}", float(missed), Goal(at_most=0), unchecked),
        Exact("a truncated file is named", float(cut), Goal(at_least=1), Control("a whole file is named", float(bool(unharmed)))),
    ]


def reads_as(path: Path, whole: Any) -> bool:
    """Whether the store is read as that table; one that cannot be read is not."""
    try:
        return bool(LatentStore(path).dataset.to_table().equals(whole))
    except Exception:  # whatever reading a damaged file may raise
        return False


def second_writer(folder: Path) -> list[Exact]:
    """Two runs at once on one store: one is refused, and the rows are whole."""
    path = folder / "two"
    children = [subprocess.Popen([sys.executable, "-c", JOB, str(path)], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [child.communicate()[1] for child in children]
    refused = sum("another process" in error or "exists already" in error for error in errors)
    good = LatentStore(path).verify().holds and len(LatentStore(path)) == 1200 and refused == 1
    alone = float("another process" in run(folder / "one").stderr)
    return [Exact("two writers at once: one is refused, rows are whole", float(good), Goal(at_least=1), Control("one writer alone", alone))]


def small_disk(folder: Path) -> list[Exact]:
    """A full disk and a read-only one; left out where nothing may be mounted."""
    found = []
    with mounted(folder / "disk", "800k") as disk:
        if disk is None:
            sys.stderr.write("no file system may be mounted here; the full and the read-only disk are left out\n")
            return []
        full = run(disk / "store")
        kept = len(LatentStore(disk / "store"))
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        again = run(disk / "store")
        same = LatentStore(disk / "store").dataset.to_table().equals(LatentStore(folder / "undisturbed").dataset.to_table())
        good = "cannot be written" in full.stderr and 0 < kept < 1200 and again.returncode == 0 and same
        print(f"full disk: {full.stderr.strip().splitlines()[-1]}; {kept} rows kept, then all", flush=True)
        enough = Control("a disk with room", float("cannot be written" in again.stderr))
        found.append(Exact("full disk: said in a line, rows kept, resumed to the same rows", float(good), Goal(at_least=1), enough))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        refused = run(disk / "store")
        good = "cannot be written" in refused.stderr and LatentStore(disk / "store").verify().holds
        print(f"read-only: {refused.stderr.strip().splitlines()[-1]}", flush=True)
        found.append(Exact("read-only folder: said in a line, reading goes on", float(good), Goal(at_least=1), enough))
    return found


@contextmanager
def mounted(path: Path, size: str) -> Iterator[Path | None]:
    path.mkdir()
    done = (
        os.geteuid() == 0
        and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=False).returncode == 0
    )
    try:
        yield path if done else None
    finally:
        if done:
            subprocess.run(["umount", str(path)], check=False)


if __name__ == "__main__":
    main()
