"""``lexframe adapt``: fit every method on the same labels, compare, save, report."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.model_options import ModelOptions, Models, open_models
from lexframe.text_forms import counted


def adapt(
    train: Annotated[Path, typer.Argument(help=table_options.LABELED)],
    *,
    test: Annotated[Path | None, typer.Option(help="Labeled texts to test on. Default: a fifth of TRAIN is held out.")] = None,
    text: options.Text = "text",
    pair: options.Pair = None,
    label: options.Label = "label",
    label_words: options.LabelWords = None,
    files: table_options.Labeled,
    methods: Annotated[str, typer.Option(metavar="NAMES", help="Comma-separated names, or 'default', 'quick', 'all'.")] = "default",
    models: Models = None,
    reading: Annotated[ModelOptions, FieldsOf(ModelOptions, without=("model",))],
    readout: options.Readout = "invariant",
    seed: Annotated[int, typer.Option(min=0, help="Of splits, calibration and intervals.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the adapter: safetensors and JSON.")] = None,
    report: options.Report = None,
    as_json: options.Json = False,
) -> None:
    """Adapt a frozen model to labeled texts: fit every method on the same labels, compare, and save the best."""
    from lexframe.data import label_words_from

    tables = [files.read(path, text=text, pair=pair, label=label) for path in (train, test) if path is not None]
    words = label_words_from(label_words or [], tables[0].labels or ())
    made = methods_for(methods, out)
    spaces = open_models(models, reading, tables[0].texts)
    settings: dict[str, Any] = {"readout": readout, "seed": seed, "batch_size": reading.batch_size}
    columns = {"text": text, "pair": pair, "label": label}
    adapt_and_show(spaces, tables, words, made, out=out, report=report, as_json=as_json, columns=columns, **settings)


def methods_for(names: str, out: Path | None) -> list[Any]:
    """The methods, before a model is opened; with `out` all of them must be savable."""
    from lexframe.adaptation import make_methods, require_savable

    made = make_methods(names)
    if out is not None:
        require_savable(made)
    return made


def adapt_and_show(
    spaces: dict[str, Any],
    tables: list[Any],
    words: dict[str, list[str]],
    methods: list[Any],
    *,
    out: Path | None,
    report: Path | None,
    as_json: bool,
    columns: dict[str, str | None] | None = None,
    batch_size: int | None = None,
    points: Path | None = None,
    **settings: Any,
) -> None:
    """Fit and compare the methods, save the best, write the report, print; with `points` a second run reads no text again."""
    from lexframe.adaptation import adapt as fit_all
    from lexframe.adaptation.task import reader_of
    from lexframe.latents import Reading, TextReader

    readers = {name: TextReader(space, Reading.thirds(space), batch_size=batch_size) for name, space in spaces.items()}
    if points is not None:
        readers = {name: reader_of(reader, points, fit_on=tables[0].texts) for name, reader in readers.items()}
    result, adapter = fit_all(readers, *tables, label_words=words, methods=methods, progress=printing.progress("adapting"), **settings)
    if out is not None and adapter is not None:
        replace(adapter, facts={**adapter.facts, "result": result.to_dict(), "columns": columns or {}}).save(out)
    if report is not None:
        from lexframe.adaptation.page import adaptation_report

        adaptation_report(result, report)
    if as_json:
        printing.document(result.to_dict())
    else:
        _print(result, out if adapter is not None else None, report)


def _print(result: Any, out: Path | None, report: Path | None) -> None:
    def with_interval(estimate: Any) -> str:
        return f"{estimate.value:.3f}  {estimate.low:.3f}–{estimate.high:.3f}"

    rows = [
        [
            ("* " if name == result.recommended else "  ") + name,
            with_interval(method.accuracy),
            with_interval(method.macro_f1),
            f"{method.fit_seconds:.2f} s",
        ]
        for name, method in result.methods.items()
    ]
    printing.table(["  method", "accuracy  95% interval", "macro-F1  95% interval", "fit"], rows)
    counts = result.counts
    printing.note(
        f"\n{result.summary()}\n{_chosen(result, out)}"
        f"Encoding {counts['train'] + counts['test']:,} texts took {result.encode_seconds:.1f} s."
    )
    if counts["truncated"]:  # rows that are left out are named when the files are read
        printing.note(f"{counted(counts['truncated'], 'text')} cut to the context of the model.")
    for note in result.notes:
        printing.note(f"note: {note}")
    for method, why in result.left_out.items():
        printing.note(f"left out: {method}: {why}")
    if report is not None:
        printing.note(f"report: {report}")
    if out is not None:
        printing.note(f"adapter: {out}" + ("" if result.recommended else ". It was saved as asked, with its verdict: do not use it."))


def _chosen(result: Any, out: Path | None) -> str:
    if result.recommended is None:
        return f"No method is starred: {result.chosen}, chosen on held-out training labels, is not to be used. "
    return f"* {'saved' if out else 'best'}: chosen on held-out training labels. "
