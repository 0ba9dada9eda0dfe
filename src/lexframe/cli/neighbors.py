"""``lexframe neighbors``: the rows of a latent store nearest to a text or to one of its rows."""

from typing import Annotated, Literal

import typer

from lexframe.cli import options, printing
from lexframe.cli.store import Store, Where, short

Metric = Literal["cosine", "standardized", "inner-product", "euclidean", "whitened"]


def neighbors(
    store: Store,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="Look near it; opens the model that made the points.")] = None,
    *,
    row: Annotated[str | None, typer.Option(help="Id of a row of the store to look near, instead of TEXT.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 10,
    where: Where = None,
    column: Annotated[str | None, typer.Option(help="Column of points; needed where there are several.")] = None,
    metric: Annotated[Metric | None, typer.Option(help="What near means. Default: what suits the points.")] = None,
    model: options.ModelNow = None,
    recall: Annotated[bool, typer.Option("--recall", help="Measure how many true neighbors the index finds.")] = False,
    as_json: options.Json = False,
) -> None:
    """The rows of a store nearest to a text or to one of its rows; the index is kept beside the store."""
    from lexframe.exceptions import InputError
    from lexframe.latents import LatentStore, store_index
    from lexframe.latents.neighbors import nearest_rows

    if (text is None) == (row is None):
        raise InputError("Name one of TEXT and --row: what to look near.")
    if text is not None and not text.strip():
        raise InputError("TEXT is empty. Write what to look near.")
    opened = LatentStore(store)
    chosen = opened.column(column)
    if text is not None:
        from lexframe.spaces import reopen_space

        printing.quiet_libraries()
        query_point = reopen_space(chosen.fingerprint, model=model, what=store).encode([text])
    else:
        assert row is not None
        query_point = opened.points(chosen.name, where=f"id = '{row.replace(chr(39), chr(39) * 2)}'")
        if not len(query_point):
            raise InputError(f"{store} has no row with the id {row!r}.")
    index = store_index(opened, chosen.name, metric=metric)
    found = nearest_rows(opened, index, query_point[:1], limit, where=where)
    measured = index.recall(opened.points(chosen.name)[:1000], limit) if recall else None
    if as_json:
        printing.document({"metric": index.metric, "exact": index.is_exact_, "recall": measured, "rows": found})
        return
    if not found:
        printing.note(f"No row of {store} meets the condition." if len(opened) else f"{store} holds no rows.")
        return
    names = [name for name in found[0] if name != "score"]
    printing.table([index.metric, *names], [[f"{each['score']:.4f}", *(short(each[name]) for name in names)] for each in found])
    if metric is None and index.metric == "standardized":
        printing.note(
            "\nStates of a language model lie in one cone, where plain cosines tell little: these are cosines after the mean of the rows "
            "is taken off and every dimension has one spread (--metric cosine: plain). For nearness of meaning, --pooling mean of a middle "
            "layer is better than the last token, and a sentence encoder better than both."
        )
    if measured is not None:
        printing.note(
            f"\nrecall of {limit} neighbors over up to 1,000 rows: {measured:.4f} ({'exact' if index.is_exact_ else 'graph'} index)"
        )
