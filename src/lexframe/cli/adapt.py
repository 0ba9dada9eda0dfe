"""``lexframe adapt`` and ``lexframe demo``: fit every method on the same points, compare, save, report."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lexframe.cli import options, show
from lexframe.cli.model_options import open_model, typed

DEFAULT_TEMPLATE = "{text} This message is about"


def adapt(
    train: Annotated[Path, typer.Argument(help="Labeled texts: .jsonl(.gz), .csv, .tsv or .parquet.")],
    test: Annotated[Path | None, typer.Option(help="Labeled texts to test on. Default: a fifth of TRAIN is held out.")] = None,
    text: options.Text = "text",
    pair: options.Pair = None,
    label: Annotated[str, typer.Option("--label", "--labels", help="Column that holds the labels.")] = "label",
    label_words: Annotated[
        list[str] | None, typer.Option(help="label=word or label=word,word; repeat. Default: the label's own name.")
    ] = None,
    methods: Annotated[str, typer.Option(help="Comma-separated names, or 'default', 'quick', 'all'.")] = "default",
    model: options.Model = "embedded",
    layer: options.Layer = -1,
    pooling: options.Pooling = "last",
    template: options.Template = DEFAULT_TEMPLATE,
    max_length: options.MaxLength = None,
    truncation: options.Truncation = "right",
    dtype: options.Dtype = "float32",
    device: options.Device = None,
    revision: options.Revision = None,
    trust_remote_code: options.TrustRemoteCode = False,
    readout: Annotated[str, typer.Option(help="invariant or cosine: similarity with the label bases.")] = "invariant",
    batch_size: options.BatchSize = None,
    seed: Annotated[int, typer.Option(min=0, help="Of splits, calibration and intervals.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the adapter: safetensors and JSON.")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file for the report.")] = None,
    as_json: options.Json = False,
) -> None:
    """Adapt a frozen model to labeled texts: fit every method on the same points, compare, and save the best."""
    from lexframe.data import label_words_from, read_table

    tables = [read_table(path, text=text, pair=pair, label=label) for path in (train, test) if path is not None]
    words = label_words_from(label_words or [], tables[0].labels or ())
    settings = typed(
        layer=layer, pooling=pooling, template=template, max_length=max_length, truncation=truncation, dtype=dtype, device=device,
        revision=revision, trust_remote_code=trust_remote_code,
    )  # fmt: skip
    space = open_model(model, prompt=DEFAULT_TEMPLATE, **settings)
    _adapt(space, tables, words, methods, readout=readout, seed=seed, batch_size=batch_size, out=out, report=report, as_json=as_json)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report and the adapter.")] = Path("lexframe-demo"),
    as_json: options.Json = False,
) -> None:
    """Adapt the embedded model to the embedded data set 'desk', offline, and write the report."""
    from lexframe.data import desk

    if not as_json:
        show.note("A frozen language model (embedded, trained for this package) sorts messages to a front desk (desk, 8 categories).\n")
    tables = [desk("train"), desk("test")]
    words = {label: [label] for label in sorted(set(tables[0].labels or ()))}
    space = open_model("embedded", template=DEFAULT_TEMPLATE)
    _adapt(space, tables, words, "default", out=out / "adapter", report=out / "report.html", as_json=as_json)
    if not as_json:
        show.note("\nNow yours: lexframe adapt train.jsonl --test test.jsonl --model gpt2 --out adapter/ --report report.html")


def _adapt(
    space: Any,
    tables: list[Any],
    words: dict[str, list[str]],
    methods: str,
    *,
    out: Path | None,
    report: Path | None,
    as_json: bool,
    batch_size: int | None = None,
    **settings: Any,
) -> None:
    from lexframe.adaptation import adapt as fit_all
    from lexframe.adaptation import make_methods, require_savable
    from lexframe.latents import Reading, TextReader

    made = make_methods(methods)
    if out is not None:
        require_savable(made)
    reader = TextReader(space, Reading.thirds(space), batch_size=batch_size)
    result, adapter = fit_all(reader, *tables, label_words=words, methods=made, progress=show.progress("encoding"), **settings)
    if out is not None and adapter is not None:
        adapter.save(out, facts={"result": result.to_dict()})
    if report is not None:
        from lexframe.adaptation.page import adaptation_report

        adaptation_report(result, report)
    if as_json:
        show.document(result.to_dict())
    else:
        _print(result, out if adapter is not None else None, report)


def _print(result: Any, out: Path | None, report: Path | None) -> None:
    def with_interval(estimate: Any) -> str:
        return f"{estimate.value:.3f}  {estimate.low:.3f}–{estimate.high:.3f}"

    rows = [
        [
            ("* " if name == result.chosen else "  ") + name,
            with_interval(method.accuracy),
            with_interval(method.macro_f1),
            f"{method.fit_seconds:.2f} s",
        ]
        for name, method in result.methods.items()
    ]
    show.table(["  method", "accuracy  95% interval", "macro-F1  95% interval", "fit"], rows)
    counts = result.counts
    show.note(
        f"\n{result.summary()}\n* {'saved' if out else 'best'}: chosen on held-out training labels. "
        f"Encoding {counts['train'] + counts['test']:,} texts took {result.encode_seconds:.1f} s."
    )
    for number, what in ((counts["blank"], "blank rows left out"), (counts["truncated"], "texts cut to the context of the model")):
        if number:
            show.note(f"{number:,} {what}.")
    for note in result.notes:
        show.note(f"note: {note}")
    for method, why in result.left_out.items():
        show.note(f"left out: {method}: {why}")
    for path, what in ((out, "adapter"), (report, "report")):
        if path is not None:
            show.note(f"{what}: {path}")
