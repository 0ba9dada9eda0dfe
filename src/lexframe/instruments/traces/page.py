"""The page of traced prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexframe.drawing.page import as_json, svg, write_page
from lexframe.instruments.traces.charts import depth_chart, parting_chart, path_chart, visible

MAX_TOKENS = 160
"""Tokens in the table of a trace; of longer prompts the last are shown."""


def trace_report(
    traces: Any, path: str | Path, *, path_map: Any = None, comparison: Any = None, title: str = "A prompt's path through the layers"
) -> Path:
    """Write the report of traced prompts: a table to rest on for each, curves, the map, and where they part.

    Parameters
    ----------
    traces : lexframe.instruments.PromptTrace, or a sequence of them
        What :func:`lexframe.instruments.trace` gave.
    path : str or Path
        The HTML file; replaced atomically.
    path_map : lexframe.instruments.PathMap, optional
        Of the same traces. Default: no map.
    comparison : lexframe.instruments.PathComparison, optional
        Of the same traces, where there are several.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.
    """
    traces = list(traces) if isinstance(traces, Sequence) else [traces]
    return write_page(
        path,
        Path(__file__).with_name("trace.html"),
        title=title,
        model=traces[0].provenance.space.model if traces[0].provenance.space else "the model",
        lens=traces[0].lens,
        layers=traces[0].layers,
        traces=[_trace_table(trace) for trace in traces],
        charts={
            "depth": svg(depth_chart(traces)),
            "path": svg(path_chart(path_map)) if path_map is not None else None,
            "parting": svg(parting_chart(comparison)) if comparison is not None else None,
        },
        provenance=as_json(traces[0].provenance),
    )


def _trace_table(trace: Any) -> dict[str, Any]:
    """What the page shows of one prompt: the last layer on top, the last tokens where there are many."""
    first = max(0, len(trace.tokens) - MAX_TOKENS)
    places = range(first, len(trace.tokens))
    rows = [
        {"layer": trace.layers[row], "cells": [_trace_cell(trace, row, place) for place in places]}
        for row in reversed(range(len(trace.layers)))
    ]
    notes = []
    if first:
        notes.append(f"The table shows the last {MAX_TOKENS} of {len(trace.tokens)} tokens.")
    if trace.truncated:
        notes.append("The prompt was longer than the model takes and was cut.")
    return {
        "prompt": trace.prompt,
        "words": [(layer, visible(word), probability) for layer, word, probability in trace.words_passed()],
        "note": " ".join(notes),
        "tokens": [visible(trace.tokens[place]) for place in places],
        "answer": "the answer" if trace.answer is None else trace.answer,
        "rows": rows,
    }


def _trace_cell(trace: Any, row: int, place: int) -> dict[str, Any]:
    shown = trace.statistics
    top = [
        (visible(item), float(value)) for item, value in zip(trace.top_tokens[row][place], shown.top_probabilities[row, place], strict=True)
    ]
    return {
        "item": top[0][0],
        "shade": round(90 * top[0][1]),
        "settled": bool(row >= trace.settle_depth[place]),
        "top": top,
        "entropy": float(shown.entropy[row, place]),
        "kl": float(shown.kl_to_final[row, place]),
        "rank": int(shown.answer_rank[row, place]),
        "probability": float(shown.answer_probability[row, place]),
    }
