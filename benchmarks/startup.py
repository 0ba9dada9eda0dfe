"""Seconds until ``import lexframe`` and ``lexframe --help`` are there, beside ``import transformers`` and ``import torch``.

python benchmarks/startup.py [--quick]
"""

import argparse
import subprocess
import sys
import time

from common import Claim, finish

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
    best = dict.fromkeys(COMMANDS, float("inf"))
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            best[name] = min(best[name], time.perf_counter() - start)
    for name, seconds in best.items():
        print(f"{name:30s} {seconds:.3f} s")
    finish(
        [
            Claim(
                f"{name}: seconds beyond the interpreter's own start",
                best[name] - best["python"],
                None,
                "<= 0.3",
                best[name] - best["python"] <= 0.3,
            )
            for name in ("import lexframe", "lexframe --help")
        ],
        keep_as=None if options.quick else "startup",
    )


if __name__ == "__main__":
    main()
