"""``lexframe demo``: the main job on what comes with the package, offline."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.cli.adapt import adapt_and_show, methods_for
from lexframe.cli.model_options import DEFAULT_TEMPLATE, ModelOptions


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report and the adapter.")] = Path("lexframe-demo"),
    as_json: options.Json = False,
) -> None:
    """Adapt the embedded model to the embedded data set 'desk', offline, and write the report."""
    from lexframe.data import desk

    if not as_json:
        printing.note("A frozen language model (embedded, trained for this package) sorts messages to a front desk (desk, 8 categories).\n")
    tables = [desk("train"), desk("test")]
    words = {label: [label] for label in sorted(set(tables[0].labels or ()))}
    space = ModelOptions().open(prompt=DEFAULT_TEMPLATE)
    adapt_and_show(
        {"embedded": space}, tables, words, methods_for("default", out), out=out / "adapter", report=out / "report.html", as_json=as_json
    )
    if not as_json:
        printing.note("\nNow yours: lexframe adapt train.jsonl --test test.jsonl --model gpt2 --out adapter/ --report report.html")
