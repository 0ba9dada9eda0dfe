"""``lexframe audit``: wrong labels, outliers, items to reconsider, and the sheet that a curator works from."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lexframe.cli import options, printing, table_options
from lexframe.cli.bundles import FieldsOf
from lexframe.cli.model_options import ModelOptions
from lexframe.data.tables.values import label_of, text_of
from lexframe.text_forms import counted

SAMPLE, WORDS_SHOWN = 48, 24
ITEMS_SHOWN, SHEET_ROWS, LEAST_SHOWN = 15, 100, 0.1

MapMethod = Literal["auto", "umap", "pca", "none"]


def audit(
    items: Annotated[
        Path,
        typer.Argument(help=f"{table_options.LABELED} Or the folder of a latent store, or of a saved audit."),
    ],
    *,
    text: options.Text = "text",
    label: Annotated[str, typer.Option("--label", help="Column that holds the category.")] = "label",
    files: table_options.Labeled,
    separator: Annotated[str | None, typer.Option(help="What parts several categories in one field, such as ';'.")] = None,
    parent: Annotated[str | None, typer.Option(help="Column of the parent category.")] = None,
    tree: Annotated[Path | None, typer.Option(help="File with columns category and parent, instead of --parent.")] = None,
    vectors: Annotated[Path | None, typer.Option(help=".npy with a row for each item, instead of encoding the texts.")] = None,
    column: Annotated[str | None, typer.Option(help="Column of points in a store that has several.")] = None,
    model: Annotated[ModelOptions, FieldsOf(ModelOptions, without=("layer", "pooling", "template", "truncation"))],
    check: Annotated[
        bool | None,
        typer.Option("--check/--no-check", help="Plant wrong labels and look for them, which the verdict rests on. Default: yes."),
    ] = None,
    decisions: Annotated[list[Path] | None, typer.Option(help="Review sheet that was filled in; repeat for several.")] = None,
    reviews: Annotated[Path | None, typer.Option(help="Log of all decisions so far (.jsonl): read, and added to.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", callback=options.writable("--csv"), help="CSV file of the sheet for the next review."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the audit, to make its report or a sheet later.")] = None,
    report: options.Report = None,
    map_method: Annotated[MapMethod, typer.Option("--map", help="The map in the report.")] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="Items to print and rows of the sheet. Default: 15 and 100.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of draws where not all items are looked at.")] = 0,
    as_json: options.Json = False,
) -> None:
    """Find items whose category should be reconsidered, with the evidence for each, and learn from reviews."""
    from lexframe.artifacts import is_artifact
    from lexframe.audit import AuditResult, CategoryAudit, audit_memberships, data_digest

    if is_artifact(items):
        _only_made({"--separator": separator, "--parent": parent, "--tree": tree, "--vectors": vectors, "--column": column,
                    "--check": check or None, "--decisions": decisions, "--reviews": reviews, "--out": out})  # fmt: skip
        _hand_out(AuditResult.load(items), (None, None, "none", seed), csv, report, limit, as_json=as_json)
        return
    if separator is not None:
        _only_single({"--parent": parent, "--tree": tree, "--decisions": decisions, "--reviews": reviews, "--csv": csv,
                      "--report": report, "--out": out, "--check": check or None})  # fmt: skip
    table = _read(items, files, (text, label, parent), column, may_be_blank=separator is not None)
    points, encoder, fingerprint = table["points"], None, table.get("space")
    parents = _tree(table, tree)
    if vectors is not None:
        points, fingerprint = _vectors(vectors, len(table["labels"])), None
    if points is None:
        # no template: an audit asks what a text says, and not which word would follow
        from lexframe.spaces.base import fitted_space

        space = model.open() if table["texts"] is None else fitted_space(model.open(), table["texts"])
        points, encoder = _encode(space, table["texts"], model.batch_size, quiet=as_json)
        fingerprint = encoder.space.fingerprint
    digest = data_digest(table["texts"] if table["texts"] is not None else points)
    if separator is not None:
        found = audit_memberships(points, table["labels"], separator=separator, texts=table["texts"], seed=seed)
        if as_json:
            printing.document(found.to_dict())
        else:
            _print_memberships(found, limit or ITEMS_SHOWN)
        return
    from lexframe.audit.ngram_control import are_ngrams

    decided = _decisions(decisions or [], reviews, table["labels"], digest)
    if not as_json:
        beside = check is not False and table["texts"] is not None and not are_ngrams(fingerprint)
        printing.note(_cost(len(points), points.shape[1], len(set(table["labels"])), check=check is not False, ngrams=beside))
    estimator = CategoryAudit(check=check is not False, random_state=seed)
    result = estimator.fit(points, table["labels"], texts=table["texts"], tree=parents, decisions=decided, space=fingerprint).result_
    if out is not None:
        result.save(out)
    _hand_out(result, (points, encoder, map_method, seed), csv, report, limit, as_json=as_json)
    for path, what in ((reviews, "decisions"), (out, "audit")):
        if path is not None and not as_json:
            printing.note(f"{what}: {path}")


def _hand_out(
    result: Any, drawn: tuple[Any, Any, str, int], csv: Path | None, report: Path | None, limit: int | None, *, as_json: bool
) -> None:
    """The sheet, the report with what its map is drawn from (points, encoder, method and seed), and what is printed."""
    if csv is not None:
        _write_sheet(result, csv, result.to_review(SHEET_ROWS) if limit is None else result.ranked(limit))
    if report is not None:
        _write_report(result, report, *drawn)
    if as_json:
        printing.document(result.to_dict())
        return
    _print(result, limit or ITEMS_SHOWN)
    for path, what in ((csv, "review sheet"), (report, "report")):
        if path is not None:
            printing.note(f"{what}: {path}")


def _only_made(options: dict[str, Any]) -> None:
    """Refuse what a saved audit cannot take in any more."""
    from lexframe.exceptions import InputError

    given = [name for name, value in options.items() if value]
    if given:
        raise InputError(f"A saved audit is not made again, and {', '.join(given)} would change it. Leave it out, or give the items.")


def _only_single(options: dict[str, Any]) -> None:
    """Refuse what an audit of several categories an item does not do, instead of leaving it out without a word."""
    from lexframe.exceptions import InputError

    given = [name for name, value in options.items() if value]
    if given:
        raise InputError(
            f"With --separator an item has several categories, and {', '.join(given)} is for one category each. "
            "Leave it out; --json gives all findings."
        )


def _read(
    items: Path, files: table_options.LabeledTables, names: tuple[str, str, str | None], column: str | None, *, may_be_blank: bool
) -> dict[str, Any]:
    """Texts, labels, parents and points (of a store) of the items. Rows with a blank text stay, since rows count as in the file."""
    text, label, parent = names
    if _is_store(items):
        return _read_store(items, files, names, column, may_be_blank=may_be_blank)
    table = files.read(items, text=text, label=label, keep_blank=True, **({"unlabelled": "keep"} if may_be_blank else {}))
    above: list[str | None] | None = None
    if parent is not None:
        every = [row.columns[parent] for row in files.stream(items, text=text, columns=[parent], keep_blank=True)]
        above = [label_of(every[row]) or None for row in table.rows]
    return {"texts": list(table.texts), "labels": list(table.labels or ()), "parents": above, "points": None}


def _is_store(items: Path) -> bool:
    from lexframe.latents import LatentStore

    return items.is_dir() and LatentStore.exists(str(items))


def _read_store(
    items: Path, files: table_options.LabeledTables, names: tuple[str, str, str | None], column: str | None, *, may_be_blank: bool
) -> dict[str, Any]:
    from lexframe.exceptions import DataError
    from lexframe.latents import LatentStore

    text, label, parent = names
    store = LatentStore(items)
    wanted = [name for name in names if name is not None and name in store.metadata]
    for name, option in ((label, "--label"), (parent, "--parent")):
        if name is not None and name not in wanted:
            raise DataError(f"{items} has no column {name!r}; there are {', '.join(store.metadata)}. Name the column with {option}.")
    rows = store.query(columns=wanted)
    labels = [label_of(value) for value in rows[label]]
    kept = [row for row, name in enumerate(labels) if name or may_be_blank]
    n_bare = len(labels) - len(kept)
    if n_bare and not files.skip_unlabelled:
        first = next(row for row, name in enumerate(labels) if not name)
        raise DataError(
            f"{items}: {counted(n_bare, 'row has', 'rows have')} no label in {label!r}, the first is row {first + 1}. Give every row one, "
            "or leave these rows out with --skip-unlabelled."
        )
    if n_bare:
        printing.note(f"note: {items} has {counted(n_bare, 'row')} without a label, left out.")
    return {
        "texts": [text_of(rows[text][row]) for row in kept] if text in wanted else None,
        "labels": [labels[row] for row in kept],
        "parents": [label_of(rows[parent][row]) or None for row in kept] if parent else None,
        "points": store.points(column)[kept],
        "space": store.vectors[column or next(iter(store.vectors))].fingerprint,
    }


def _vectors(path: Path, n_items: int) -> Any:
    import zipfile

    import numpy as np

    from lexframe.exceptions import DataError

    try:
        with path.open("rb") as file:
            points = np.load(file, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}. Name a table of numbers that numpy.save wrote.") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:  # what numpy says of other files is of pickles
        raise DataError(f"{path} is no table of numbers (.npy). Save one with numpy.save.") from error
    if not isinstance(points, np.ndarray):
        raise DataError(f"{path} holds several arrays; expected one. Save it with numpy.save.")
    if points.ndim != 2 or len(points) != n_items:
        raise DataError(f"{path} has shape {points.shape}; expected a row for each of {counted(n_items, 'item')}.")
    return points


def _encode(space: Any, texts: Any, batch_size: int | None, *, quiet: bool) -> Any:
    """Points of the texts, after saying what that will cost."""
    import time

    from lexframe.audit import audit_points
    from lexframe.exceptions import DataError

    if texts is None:
        raise DataError("There are no texts to encode. Name their column with --text, or give points with --vectors.")
    if not quiet and len(texts) > 4 * SAMPLE:
        sample = texts[:: len(texts) // SAMPLE][:SAMPLE]
        audit_points(space, sample[:4], batch_size=batch_size)  # the first pass also loads the weights
        started = time.perf_counter()
        audit_points(space, sample, batch_size=batch_size)
        seconds = (time.perf_counter() - started) * len(texts) / len(sample)
        printing.note(f"Encoding {len(texts):,} texts takes about {_duration(seconds)}.")
    return audit_points(space, texts, batch_size=batch_size, progress=printing.progress("encoding"))


def _cost(n_items: int, n_dims: int, n_categories: int, *, check: bool, ngrams: bool) -> str:
    from lexframe.audit import audit_cost

    seconds, megabytes = audit_cost(n_items, n_dims, n_categories, check=check, ngrams=ngrams)
    told = f"{counted(n_items, 'item')} in {counted(n_categories, 'category')}"
    return f"Auditing {told} takes about {_duration(seconds)} and {megabytes:,.0f} MB.\n"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _tree(table: dict[str, Any], path: Path | None) -> Any:
    from lexframe.audit import CategoryTree
    from lexframe.exceptions import InputError

    if path is not None and table["parents"] is not None:
        raise InputError("Both --parent and --tree say what the parents are. Give one of them.")
    if path is not None:
        return CategoryTree.from_file(path, sorted(set(table["labels"])))
    return None if table["parents"] is None else CategoryTree.from_rows(table["labels"], table["parents"])


def _decisions(sheets: list[Path], log: Path | None, labels: Any, digest: str) -> Any:
    """All decisions so far: those of the log, then those of the sheets, which the log takes in."""
    from lexframe.audit import append_decisions, load_decisions, read_review_sheet

    found = load_decisions(log, data=digest) if log is not None and log.exists() else None
    for path in sheets:
        read = read_review_sheet(path, sorted(set(labels)), n_rows=len(labels), digest=digest)
        for remark in read.notes:
            printing.note(remark)
        if log is not None:
            append_decisions(log, read, data=digest)
        found = read if found is None else found.merge(read)
    return found


def _write_sheet(result: Any, path: Path, chosen: Any) -> None:
    from lexframe.audit import ReviewRow, write_review_sheet

    rows = []
    for row in map(int, chosen):
        text = "" if result.texts is None else result.texts[row]
        given, suggested = result.categories[result.given[row]], result.categories[result.suggested[row]]
        rows.append(ReviewRow(row, text, given, suggested, float(result.probability[row]), result.reason(row)))
    write_review_sheet(path, rows, digest=result.digest)


def _write_report(result: Any, path: Path, points: Any, encoder: Any, method: str, seed: int) -> None:
    from lexframe.audit.page import audit_report
    from lexframe.audit.published.category_map import category_map
    from lexframe.audit.published.point_map import map_points
    from lexframe.audit.word_evidence import word_effects

    extras: dict[str, Any] = {}
    if method != "none":
        flat = map_points(points, method=method, seed=seed)
        drawn = category_map(flat, result.given, len(result.categories), peel=0.1)
        extras["coordinates"] = flat.coordinates
        extras["hulls"] = [(number, hull.vertices) for number, hull in enumerate(drawn.hulls)]
        name = {"pca": "two principal components", "umap": "UMAP"}[flat.method]
        extras["map_note"] = f"{name}; hulls leave out the farthest tenth of each category."
    if encoder is not None and result.texts is not None:
        rows = [int(row) for row in result.to_review(WORDS_SHOWN)]
        texts = [result.texts[row] for row in rows]
        found = word_effects(encoder.encode, texts, result.given[rows], result.suggested[rows], result.posterior)
        extras["words"] = dict(zip(rows, found, strict=True))
    audit_report(result, path, n_shown=WORDS_SHOWN, **extras)


def _print(result: Any, top: int) -> None:
    rows = []
    for row in map(int, result.to_review(top)):
        item = result.item(row)
        shown = " ".join(item.get("text", f"row {row}").split())
        rows.append(
            [f"{row}", f"{item['probability']:.2f}", item["given"], item["suggested"], shown[:60] + ("…" if len(shown) > 60 else "")]
        )
    if rows:
        printing.table(["row", "probability", "given", "suggested", "text"], [[printing.one_line(cell) for cell in line] for line in rows])
    summary = result.summary()
    printing.note(f"\n{summary}")
    for note in result.notes:
        if note.casefold() not in summary.casefold():
            printing.note(note)


def _print_memberships(found: Any, top: int) -> None:
    lines = []
    worth_a_look = [finding for finding in found.findings(top) if finding["probability"] >= LEAST_SHOWN]
    for finding in worth_a_look:
        shown = " ".join((finding["text"] or f"row {finding['row']}").split())
        lines.append([f"{finding['row']}", f"{finding['probability']:.2f}", finding["kind"], finding["category"], shown[:60]])
    if not lines:
        printing.note(f"Nothing to review: no membership is wrong or missing with a probability of {LEAST_SHOWN:g} or more.")
    else:
        printing.table(
            ["row", "probability", "should be", "category", "text"], [[printing.one_line(cell) for cell in line] for line in lines]
        )
    printing.note(f"\n{found.summary()}")
