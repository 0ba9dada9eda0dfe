"""``lexframe demo``: the main job on models that pip brings, offline."""

from pathlib import Path
from typing import Annotated

import typer

from lexframe.cli import options, printing
from lexframe.cli.adapt import adapt_and_show, methods_for
from lexframe.cli.model_options import ModelOptions, Models, open_models

VIEWS = ("smollm2", "minilm", "tfidf")
"""A language model, a sentence encoder, and n-grams: they err on different texts."""
METHODS = "zero-shot,tfidf,logistic,posterior"
"""Those that take seconds. The paper's own module takes two minutes on points of this size."""


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report, the adapter and the points.")] = Path("lexframe-demo"),
    models: Models = None,
    as_json: options.Json = False,
) -> None:
    """Sort messages to a front desk with a language model, a sentence encoder and n-grams, offline, and write the report.

    Models that are not installed are left out; '--model embedded' needs nothing but lexframe.
    """
    from lexframe.data import desk

    tables = [desk("train"), desk("test")]
    names = list(models) if models else _installed()
    if not as_json:
        printing.note(f"{' + '.join(names)}: frozen, they sort messages to a front desk (desk, 8 categories).\n")
    words = {label: [label] for label in sorted(set(tables[0].labels or ()))}
    methods = methods_for("default" if names == ["embedded"] else METHODS, out)
    spaces = open_models(names, ModelOptions(), tables[0].texts)
    adapt_and_show(spaces, tables, words, methods, out=out / "adapter", report=out / "report.html", as_json=as_json, points=out / "points")
    if not as_json:
        printing.note(f"\nNow yours: lexframe adapt train.jsonl --test test.jsonl --model {' --model '.join(names)} --out adapter/")


def _installed() -> list[str]:
    """The models of the demo that are here; the embedded one where no language model is."""
    from lexframe.spaces.model_list import named_models

    here = {model.name: model for model in named_models()}
    missing = [name for name in VIEWS if name in here and not here[name].is_here]
    for name in missing:
        printing.note(f"{name} is not installed, and is left out. It comes with: {here[name].install}")
    return ["embedded"] if VIEWS[0] in missing else [name for name in VIEWS if name not in missing]
