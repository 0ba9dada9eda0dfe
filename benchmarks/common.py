"""What every benchmark prints last: its claims as one JSON object a claim, with interval and goal."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lexframe.provenance import package_versions

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Where the evaluation sets and the corpus stand; not part of the project."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One measured statement.

    `goal` is what was aimed at, in words; `holds` whether it was reached.
    """

    claim: str
    value: float
    interval: tuple[float, float] | None
    goal: str
    holds: bool


def finish(claims: Sequence[Claim]) -> None:
    """Print the machine and, as the last line, the claims."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    sys.stderr.write(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, {package_versions()}\n")
    print(json.dumps([asdict(claim) for claim in claims]))
