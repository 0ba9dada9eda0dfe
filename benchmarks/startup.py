"""Seconds until ``import lexframe`` and ``lexframe --help`` are there, beside ``import transformers`` and ``import torch``.

python benchmarks/startup.py [--quick]
"""

import argparse
import subprocess
import sys
from functools import partial

from common import Control, Goal, Statement, finish, judged, race
from lexframe.intervals import t_interval

COMMANDS = {
    "python": ["-c", "pass"],
    "import lexframe": ["-c", "import lexframe"],
    "lexframe --help": ["-m", "lexframe.cli.main", "--help"],
    "import torch": ["-c", "import torch"],
    "import transformers.AutoModel": ["-c", "from transformers import AutoModel"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 3 if (options := parser.parse_args()).quick else 7
    run = partial(subprocess.run, check=True, capture_output=True)
    seconds, _ = race({name: partial(run, [sys.executable, *arguments]) for name, arguments in COMMANDS.items()}, rounds)
    for name, found in seconds.items():
        print(f"{name:30s} {found.mean():.3f} s")
    beyond = {name: t_interval(found - seconds["python"], unit="runs") for name, found in seconds.items()}
    claims: list[Statement] = []
    for name in ("import lexframe", "lexframe --help"):
        title = f"{name}: seconds beyond the interpreter's own start"
        claims += judged(title, beyond[name], Goal(at_most=0.3), Control("import torch", beyond["import torch"]))
    finish(claims, keep_as=None if options.quick else "startup")


if __name__ == "__main__":
    main()
