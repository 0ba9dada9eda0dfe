"""What every benchmark prints last: its claims as one JSON object a claim, with interval and goal."""

import csv
import io
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lexframe.files import write_text
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


def finish(claims: Sequence[Claim], *, keep_as: str | None = None) -> None:
    """Print the machine and, as the last line, the claims; with `keep_as` also :func:`keep` them."""
    machine, versions = _circumstances()
    sys.stderr.write(f"{machine}; {versions}\n")
    if keep_as is not None:
        keep(claims, keep_as)
    print(json.dumps([asdict(claim) for claim in claims]))


def keep(claims: Sequence[Claim], name: str) -> None:
    """Write the claims as ``results/NAME.csv``."""
    machine, versions = _circumstances()
    lines = [
        {
            **asdict(claim),
            "interval": " ".join(f"{bound:.6g}" for bound in claim.interval or ()),
            "machine": machine,
            "versions": versions,
        }
        for claim in claims
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(Path(__file__).parent / "results" / f"{name}.csv", text.getvalue())


def _circumstances() -> tuple[str, str]:
    """The machine and how busy it is, and the versions."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    versions = " ".join(f"{name}={version}" for name, version in package_versions().items())
    return f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}", versions
