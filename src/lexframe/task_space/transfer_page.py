"""The page of a transfer: what tuning on one task did to all others, whether gradients foretold it, and its price."""

from pathlib import Path
from typing import Any

import numpy as np

from lexframe.drawing.marked_text import readable
from lexframe.drawing.page import as_json, write_page
from lexframe.drawing.theme import shortened
from lexframe.files import json_text
from lexframe.task_space.figures import figure
from lexframe.task_space.transfer_charts import prediction_chart, price_chart, target_order, transfer_chart
from lexframe.task_space.transfer_result import Transfer

ARMS = {
    "differential": "only the parameters where the gradients of the two sides differ most move",
    "random": "as many parameters, drawn at random",
    "one-sided": "those with the largest gradients of the better side alone, as plain fine-tuning has it",
    "full": "all parameters, by the differential",
    "plain": "all parameters, by the better side alone",
}
"""What each way to tune is, in words."""
OPEN_SOURCES = 20
"""Sources whose numbers are seen at once."""
_NAME, _NOTE = 80, 600


def transfer_report(transfer: Transfer, path: str | Path, *, title: str = "What learning one task does to the others") -> Path:
    """Write the page of a transfer.

    Parameters
    ----------
    transfer : Transfer
    path : str or Path
        The HTML file; replaced atomically.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    rows = source_rows(transfer)
    return write_page(
        path,
        Path(__file__).with_name("transfer.html"),
        title=readable(title),
        worth=str(transfer.verdict.worth),
        verdict=readable(str(transfer.verdict)),
        says=agreement(transfer),
        counts=_counts(transfer),
        arms=arm_rows(transfer),
        matrices=[_matrix(transfer, arm) for arm in transfer.arms],
        names=[(number, _clipped(transfer.targets[row])) for number, row in enumerate(target_order(transfer), start=1)],
        charts={"prediction": figure(prediction_chart(transfer)), "price": figure(price_chart(transfer))},
        open_rows=rows[:OPEN_SOURCES],
        folded_rows=rows[OPEN_SOURCES:],
        bits_before=f"{transfer.bits_before.value:.3f}",
        notes=[shortened(readable(note), _NOTE) for note in transfer.notes],
        settings=readable(json_text(dict(transfer.settings), indent=2)),
        provenance=readable(as_json(transfer.provenance)),
    )


def agreement(transfer: Transfer) -> str:
    """How far what happened is what the gradients foretold, in a sentence for each way to tune.

    Parameters
    ----------
    transfer : Transfer
    """
    found = []
    for arm, seen, said in zip(transfer.arms, transfer.gain_margin, transfer.predicted, strict=True):
        x, y = np.asarray(said, dtype=np.float64).ravel(), np.asarray(seen, dtype=np.float64).ravel()
        if len(x) > 2 and x.std() > 0 and y.std() > 0:
            slope = float(x @ y / (x @ x))
            found.append(f"{np.corrcoef(x, y)[0, 1]:.2f} for {arm} ({slope:.2f} nats came for each foretold)")
    return f"What gradients foretold and what came correlate, over all pairs of tasks, at {', '.join(found)}." if found else ""


def arm_rows(transfer: Transfer) -> list[dict[str, str]]:
    """A row for every way to tune: the gain of the task itself, of its group and of others, and the price.

    Parameters
    ----------
    transfer : Transfer
    """
    gains = transfer.gain_margin
    parts = (transfer.own(gains), transfer.others(gains, same_group=True), transfer.others(gains, same_group=False), transfer.bits_change)
    own, near, far, bits = (np.asarray(each, dtype=np.float64) for each in parts)
    return [
        {
            "arm": arm,
            "what": ARMS.get(arm, ""),
            "own": _mean(own[row]),
            "near": _mean(near[row]),
            "far": _mean(far[row]),
            "bits": _mean(bits[row], ".4f"),
        }
        for row, arm in enumerate(transfer.arms)
    ]


def source_rows(transfer: Transfer) -> list[dict[str, Any]]:
    """A row for every task that was tuned on, with its figures under every way to tune.

    Parameters
    ----------
    transfer : Transfer
    """
    own, after = transfer.own(transfer.gain_margin), transfer.own(transfer.accuracy_after)
    rows = []
    for number, target in enumerate(target_order(transfer), start=1):
        name, group = transfer.targets[target], transfer.groups[target]
        if name not in transfer.sources:
            continue
        row = transfer.sources.index(name)
        figures = [(f"{after[arm, row]:.2f}", f"{own[arm, row]:+.2f}", f"{transfer.bits_change[arm, row]:+.4f}") for arm in range(len(own))]
        rows.append(
            {
                "number": number,
                "name": _clipped(name),
                "group": None if group is None else _clipped(group),
                "tested": f"{int(transfer.n_tested[target]):,}",
                "accuracy": f"{transfer.accuracy_before[target]:.2f}",
                "margin": f"{transfer.margin_before[target]:.2f}",
                "figures": figures,
            }
        )
    return rows


def _counts(transfer: Transfer) -> list[tuple[str, str]]:
    return [
        ("tasks tuned on", f"{len(transfer.sources):,}"),
        ("tasks tested", f"{len(transfer.targets):,}"),
        ("pairs tested", f"{int(np.sum(transfer.n_tested)):,}"),
        ("ways to tune", f"{len(transfer.arms):,}"),
        ("bits per byte of neutral text, before", f"{transfer.bits_before.value:.3f}"),
    ]


def _matrix(transfer: Transfer, arm: str) -> dict[str, Any]:
    charts = {"chart": transfer_chart(transfer, arm), "small_chart": transfer_chart(transfer, arm, small=True)}
    return {"arm": arm, "what": ARMS.get(arm, "")} | {name: figure(chart) for name, chart in charts.items()}


def _clipped(text: str) -> str:
    return shortened(readable(text), _NAME) or "(blank)"


def _mean(values: np.ndarray, form: str = ".2f") -> str:
    defined = values[np.isfinite(values)]
    return f"{defined.mean():+{form}}" if len(defined) else "none"
