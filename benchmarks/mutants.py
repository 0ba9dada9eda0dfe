"""Breaks the library on purpose, one line at a time, and says which breaks no test sees.

    python benchmarks/mutants.py [--only WORD] [--list] [--jobs 2] [--seconds 600]

The mutants stand in mutants.toml: a file, the text that is replaced, what it becomes, and the tests that must fail. Each is applied to a
copy of src, never in place; the named tests run against it and have to fail. First the same tests run against an unbroken copy, where
they have to pass. One that survives makes the exit code 1: write a test, or say why the change changes nothing. Run it before a release
and after a change to what is listed; it takes minutes, so it is no part of the suite. That every mutant still applies is part of it.

mutmut and cosmic-ray make mutants by themselves, thousands of them, and run the suite for each: here that is a day. Most of theirs change
a message or a default; these were chosen because the number that people read would be wrong.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("mutants.toml")


class StaleMutantError(ValueError):
    """A mutant whose text is not found, or found twice."""


@dataclass(frozen=True)
class Mutant:
    """One change that a test has to see.

    Attributes
    ----------
    about : str
        What would be wrong.
    path : str
        File under ``src/lexframe``.
    old, new : str
        `old` stands once in the file.
    tests : tuple of str
        What pytest is given: files or tests, from the project's folder.
    """

    about: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The file's text with the change.

        Raises
        ------
        StaleMutantError
            If `old` is not there exactly once, or changes nothing.
        """
        found = text.count(self.old)
        if found != 1 or self.old == self.new:
            raise StaleMutantError(
                f"'{self.about}': {self.old!r} stands {found} times in src/lexframe/{self.path}; expected once. Mend {TABLE.name}."
            )
        return text.replace(self.old, self.new)


def mutants() -> list[Mutant]:
    """All of the table."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["mutant"]
    return [Mutant(row["about"], row["path"], row["old"], row["new"], tuple(row["tests"])) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants whose file or description holds this word")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--jobs", type=int, default=2, help="copies of src that are worked on side by side")
    parser.add_argument("--seconds", type=float, default=600, help="after which a run of tests counts as failed")
    options = parser.parse_args()
    chosen = [each for each in mutants() if options.only in each.path or options.only in each.about]
    if options.list:
        for each in chosen:
            print(f"{each.path}: {each.about}  ({', '.join(each.tests)})")
        return
    with tempfile.TemporaryDirectory() as name:
        outcomes = run_all(chosen, Path(name), options.jobs, options.seconds)
    survivors = [about for about, outcome in outcomes.items() if outcome != "killed"]
    print(f"{len(outcomes) - len(survivors)} of {len(outcomes)} killed" + "".join(f"\n  {about}: {outcomes[about]}" for about in survivors))
    print(json.dumps([{"mutant": about, "outcome": outcome} for about, outcome in outcomes.items()]))
    sys.exit(bool(survivors))


def run_all(chosen: list[Mutant], folder: Path, jobs: int, seconds: float) -> dict[str, str]:
    """What became of each: killed, survived, or why it could not be told."""
    copies = [copied(folder / str(number)) for number in range(jobs)]
    free, lock = list(copies), threading.Lock()
    sound: dict[tuple[str, ...], bool] = {}

    def in_a_copy(mutant: Mutant | None, tests: tuple[str, ...]) -> bool:
        with lock:
            copy = free.pop()
        try:
            if mutant is None:
                return passes(copy, tests, seconds)
            path = copy / "lexframe" / mutant.path
            before = path.read_text(encoding="utf-8")
            path.write_text(mutant.applied(before), encoding="utf-8")
            try:
                return passes(copy, tests, seconds)
            finally:
                path.write_text(before, encoding="utf-8")
        finally:
            with lock:
                free.append(copy)

    def outcome(mutant: Mutant) -> str:
        start = time.monotonic()
        found = "its tests fail on the unbroken code"
        if sound[mutant.tests]:
            found = "SURVIVED" if in_a_copy(mutant, mutant.tests) else "killed"
        print(f"{found:10s} {mutant.path}: {mutant.about} ({time.monotonic() - start:.0f} s)", flush=True)
        return found

    for mutant in chosen:
        mutant.applied((ROOT / "src" / "lexframe" / mutant.path).read_text(encoding="utf-8"))
    with ThreadPoolExecutor(jobs) as pool:
        selections = list(dict.fromkeys(mutant.tests for mutant in chosen))
        sound.update(zip(selections, pool.map(lambda tests: in_a_copy(None, tests), selections), strict=True))
        return dict(zip((each.about for each in chosen), pool.map(outcome, chosen), strict=True))


def copied(folder: Path) -> Path:
    """A copy of src; the weights, which nobody changes, are linked."""
    source = ROOT / "src" / "lexframe"
    shutil.copytree(source, folder / "lexframe", ignore=shutil.ignore_patterns("models", "__pycache__"))
    (folder / "lexframe" / "models").symlink_to(source / "models", target_is_directory=True)
    return folder


def passes(copy: Path, tests: tuple[str, ...], seconds: float) -> bool:
    """Whether the tests pass against a copy; within the time, for a loop without end is seen as well."""
    # Modules are not kept compiled: a file that is changed and changed back within a second would be taken for the one before.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1, 2):  # 2 is an import that fails, which is seen
        raise RuntimeError(f"pytest could not run {' '.join(tests)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    main()
