"""``lexframe pretrain train``: a language model trained on a corpus."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.pretrain.inputs import Corpus, show_facts


def train(
    corpus: Corpus,
    *,
    tokenizer: Annotated[Path, typer.Option(help="Folder that 'pretrain tokenizer' made.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; a run that was stopped there goes on.")],
    text: options.Text = "text",
    plan: Annotated[Any, FieldsOf("lexframe.training.language_model.plan:PretrainingPlan")],
    n_processes: Annotated[int | None, typer.Option(help="Processes that train together. Default: one a GPU, or one a CPU core.")] = None,
    as_json: options.Json = False,
) -> None:
    """Train a model on CORPUS until --max-minutes or --max-tokens are spent; give at least one of them."""
    from lexframe.spaces.loading import load_tokenizer
    from lexframe.training.language_model.launch import pretrain
    from lexframe.training.language_model.tokenizer import encoded_corpus

    opened = load_tokenizer(str(tokenizer))
    tokens_file = encoded_corpus(corpus, opened, out / "tokens.npy", text_column=text, progress=printing.progress("documents"))
    model = pretrain(plan, tokens_file, tokenizer, out, n_processes=n_processes)
    facts = json.loads((model / "training.json").read_text(encoding="utf-8"))
    rows = [
        ("steps", f"{facts['steps']:,}"),
        ("tokens", f"{facts['tokens']:,}"),
        ("seconds", f"{facts['seconds']:,}"),
        ("written", str(model)),
    ]
    show_facts(facts | {"model": str(model)}, rows, as_json=as_json)
