"""Counts where every kept claim stands, and writes the table into docs/evidence.md.

python benchmarks/evidence.py
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

from common import RESULTS
from lexframe.files import write_text

PAGE = Path(__file__).resolve().parents[1] / "docs" / "evidence.md"
START, END = "<!-- claims -->\n", "<!-- end of claims -->\n"
COLUMNS = ("met", "missed", "figures", "before the protocol")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    write_text(PAGE, f"{before}{START}\n{table(RESULTS)}\n{END}{after}")
    print(table(RESULTS))


def table(folder: Path) -> str:
    """A row for every file of claims, in Markdown; missed ones are listed below it."""
    lines = [f"| results | {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * len(COLUMNS)]
    missed: list[str] = []
    total: Counter[str] = Counter()
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or "claim" not in rows[0]:
            continue
        counts = Counter(standing(row) for row in rows)
        total += counts
        lines.append(f"| {path.stem} | " + " | ".join(str(counts[column] or "") for column in COLUMNS) + " |")
        missed += [f"- {path.stem}: {row['claim']}: {shown(row)}" for row in rows if standing(row) == "missed"]
    lines.append("| **all** | " + " | ".join(f"**{total[column]}**" for column in COLUMNS) + " |")
    return "\n".join(lines) + "\n" + ("\nMissed:\n\n" + "\n".join(missed) + "\n" if missed else "")


def standing(row: dict[str, str]) -> str:
    """Which column a kept claim belongs to: files without the columns of the protocol were written before it."""
    if "over" not in row or "control" not in row:
        return "before the protocol"
    return {"True": "met", "False": "missed"}.get(row["holds"], "figures")


def shown(row: dict[str, str]) -> str:
    ends = ", ".join(f"{float(end):.3g}" for end in row["interval"].split())
    interval = f" [{ends}] over {row['over']}" if ends else ""
    return f"{float(row['value']):.3g}{interval}, goal {row['goal']}; {row['control']}: {float(row['control_value']):.3g}"


if __name__ == "__main__":
    main()
