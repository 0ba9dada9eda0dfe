"""``lexframe study reproduce``: published tables, measured anew."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.model_options import DEFAULT_TEMPLATE, ModelOptions


def reproduce(
    data: Annotated[Path, typer.Argument(help="Folder with SET/train.jsonl.gz and SET/test.jsonl.gz.")],
    *,
    sets: Annotated[str | None, typer.Option(help="Comma-separated. Default: the seven sets of the paper that are public here.")] = None,
    model: Annotated[ModelOptions, FieldsOf(ModelOptions, without=("batch_size",))],
    max_test: Annotated[int, typer.Option(help="Most test texts of a set, drawn by class; 0 takes all.")] = 500,
    out: Annotated[Path | None, typer.Option(help="Folder for finished cells: a run that was stopped goes on there.")] = None,
    as_json: options.Json = False,
) -> None:
    """Measure the tables of the vocabulary-defined semantics paper for a model, beside the published figures of others."""
    from lexframe.spaces.base import VocabularySpace
    from lexframe.studies.reproduction import SETS
    from lexframe.studies.reproduction import reproduce as run

    space = model.open(needs=VocabularySpace, prompt=DEFAULT_TEMPLATE)
    chosen = options.comma_separated(sets) or SETS
    found = run(space, data, sets=chosen, max_test=max_test or None, cells=out, progress=printing.progress("reproducing"))
    if as_json:
        printing.document(found.to_dict())
    else:
        _print(found, model.model)


def _print(found: Any, model: str) -> None:
    from lexframe.studies import reproduction as published

    sets = list(next(iter(found.main.values())))

    def row(name: str, values: dict[str, float], mean: float | None = None) -> list[str]:
        shown = [f"{values[one]:.3f}" if one in values else "" for one in sets]
        own = [values[one] for one in sets if one in values]
        average = mean if mean is not None else (sum(own) / len(own) if own else None)
        return [name, *shown, "" if average is None else f"{average:.3f}"]

    printing.note(f"All training labels, {model} (accuracy on balanced sets, macro-F1 on others)\n")
    rows = [row(method, values) for method, values in found.main.items()]
    rows += [
        row(f"{method}, GPT-2 small*", published.PUBLISHED.get(method, {}), mean) for method, mean in published.PUBLISHED_MEANS.items()
    ]
    printing.table(["method", *sets, "mean"], rows)
    printing.note("\nThe module's logits in training and inference\n")
    rows = [row(method, values) for method, values in found.ablation.items()]
    rows += [row(f"{method}, Llama 3 8B*", {}, mean) for method, mean in published.PUBLISHED_ABLATION.items()]
    printing.table(["variant", *sets, "mean"], rows)
    printing.note("\nTest points in their classes, before and after calibration\n")
    rows = []
    for kind, reference in (("rand", published.PUBLISHED_RAND), ("neighbor", published.PUBLISHED_NEIGHBOR)):
        name = {"rand": "adjusted Rand index", "neighbor": "nearest neighbor, accuracy"}[kind]
        rows.append([name, *(_change(found.clusters[kind].get(one)) for one in sets)])
        rows.append([f"{name}, GPT-2 small*", *(_change(reference.get(one)) for one in sets)])
    printing.table(["measure", *sets], rows)
    printing.note(
        "\n* As published (arXiv:2401.16184): another model, means over eight sets. Compare differences between methods, not values."
    )
    for name, why in found.skipped.items():
        printing.note(f"skipped {name}: {why}")


def _change(pair: tuple[float, float] | None) -> str:
    return "" if pair is None else f"{pair[0]:.3f} > {pair[1]:.3f}"
