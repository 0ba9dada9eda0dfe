"""Charts of subspaces of prompt families and of the transport from layer to layer."""

from typing import TYPE_CHECKING, Any

from lexframe.drawing.theme import INK, MUTED, PALETTE, themed

if TYPE_CHECKING:
    import altair as alt

_OVERLAPS = {"ceiling": "two halves of one family", "between": "two families", "null": "groups at random", "chance": "random subspaces"}


def overlap_chart(comparison: Any) -> "alt.LayerChart":
    """Overlap of subspaces by layer; the families are apart where their line lies below that of groups at random.

    Parameters
    ----------
    comparison : lexframe.studies.subspace.SubspaceComparison
    """
    rows = [
        {"layer": layer, "curve": title, "value": float(getattr(comparison, name)[row]), "p": float(comparison.p_holm[row])}
        for name, title in _OVERLAPS.items()
        for row, layer in enumerate(comparison.layers)
    ]
    return _curves(rows, list(_OVERLAPS.values()), [PALETTE[0], PALETTE[1], INK, MUTED], "overlap of subspaces, 0 to 1", ("p:Q",))


def transport_chart(study: Any) -> "alt.LayerChart":
    """Error of each map into each layer from the one before, on prompts that it was not fitted on; 1 is the mean of the layer.

    Parameters
    ----------
    study : lexframe.studies.transport.TransportStudy
    """
    rows = [
        {"layer": study.layers[row + 1], "curve": name, "value": float(errors[row])}
        for name, errors in study.one_step.items()
        for row in range(len(study.layers) - 1)
    ]
    names = list(study.one_step)
    return _curves(
        rows, names, [PALETTE[1], PALETTE[0], MUTED, INK][: len(names)], "share of the variance that is not explained", (), log=True
    )


def _curves(
    rows: list[dict[str, Any]], names: list[str], colors: list[str], title: str, more: tuple[str, ...], *, log: bool = False
) -> "alt.LayerChart":
    """Lines with points over the layers, a color a curve."""
    import altair as alt

    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("layer:O", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("value:Q", title=title, scale=alt.Scale(type="log" if log else "linear")),
        color=alt.Color("curve:N", sort=names, scale=alt.Scale(domain=names, range=colors), legend=alt.Legend(title=None, orient="top")),
        tooltip=["layer:O", "curve:N", "value:Q", *more],
    )
    return themed((base.mark_line() + base.mark_point(filled=True, size=50)).properties(width=460, height=260))
