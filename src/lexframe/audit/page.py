"""The page that a curator works from: what to look at first, why, and how far to trust it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.audit.charts import (
    SUSPICIOUS,
    confused_categories,
    frequent_categories,
    map_chart,
    probability_chart,
    relations_chart,
    suspicious,
)
from lexframe.audit.result import WORTH_A_LOOK, AuditResult
from lexframe.drawing.marked_text import readable, shown_text
from lexframe.drawing.page import as_json, svg, write_page
from lexframe.drawing.theme import shortened

MAX_DRAWN = 4000
MAX_OUT_OF_CATEGORY, MAX_GROUPS, MAX_OF_GROUP, MAX_RELATIONS = 20, 40, 6, 40
MAX_CATEGORIES, MAX_CANDIDATES, LEAST_CANDIDATE = 200, 6, 0.2
"""Additions: categories on the page, items a category, and the least probability of belonging there."""
RELATIONS_SEEN = 6
"""Relations of a kind that are seen at once; the others are folded."""
LEAST_CONFUSED = 4.0
"""Items expected in the strongest cell of the table of categories, below which it would show noise."""
RELATIONS = {
    "merge": ("Cannot be told apart", "Candidates for one category, or for a clearer rule of which is which."),
    "overlap": ("Overlap", "Many items of each look like the other: is the border written down?"),
    "split": ("Hold two kinds of item", "Candidates for two categories."),
}
_NEAR, _SHORT, _NAME, _REASON = 170, 260, 80, 700


def audit_report(
    result: AuditResult,
    path: str | Path,
    *,
    coordinates: np.ndarray | None = None,
    hulls: Sequence[tuple[int, np.ndarray]] | None = None,
    map_note: str = "",
    words: Mapping[int, Sequence[tuple[str, float]]] | None = None,
    n_shown: int = 60,
    title: str = "Labels to reconsider",
) -> Path:
    """Write the report of an audit of categories.

    Parameters
    ----------
    result : AuditResult
        What :class:`lexframe.audit.category_audit.CategoryAudit` found.
    path : str or Path
        The HTML file; replaced atomically.
    coordinates : ndarray of shape (n_items, 2), optional
        Places on a map. Default: no map.
    hulls : sequence of (int, ndarray of shape (m, 2)), optional
        Category numbers with the corners of their hulls on that map.
    map_note : str
        How the map was made.
    words : mapping of int to sequence of (str, float), optional
        For some rows, the words of the text with their effects: above 0 towards the suggestion, below towards the given category.
    n_shown : int
        Items to show with their evidence.
    title : str
        Heading.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If coordinates or hulls do not fit the items, or the file cannot be written.
    """
    worth_a_look = result.to_review()
    rows = worth_a_look[:n_shown]
    places = None if coordinates is None else np.asarray(coordinates, dtype=np.float64)
    _, table = confused_categories(result)
    confused = len(result.categories) > 2 and float(table.max(initial=0.0)) >= LEAST_CONFUSED
    return write_page(
        path,
        Path(__file__).with_name("audit.html"),
        title=readable(title),
        result=result,
        expected=result.expected_errors(),
        is_counted=result.error_count().interval is not None,
        expectation=readable(sentence_case(result.expectation())),
        verdict=readable(str(result.verdict())),
        expected_first=float(result.probability[rows].sum()),
        n_open=int((~result.reviewed).sum()),
        n_worth=len(worth_a_look),
        least_shown=WORTH_A_LOOK,
        n_first=len(rows),
        cards=item_cards(result, rows, words or {}),
        has_words=any(int(row) in (words or {}) for row in rows),
        listed=set(rows.tolist()),
        check=check_line(result, n_shown),
        charts={
            "curve": svg(result.chart()),
            "probability": svg(probability_chart(result)),
            "map": None if places is None else svg(map_chart(places, result, hulls, MAX_DRAWN)),
            "relations": svg(relations_chart(result)) if confused else None,
        },
        n_drawn=min(MAX_DRAWN, len(result)),
        n_ringed=len(suspicious(result)),
        n_suspicious=int(np.sum(~result.reviewed & (result.probability >= SUSPICIOUS))),
        n_colored=len(frequent_categories(result)),
        has_hulls=bool(hulls),
        map_note=readable(map_note),
        relations=relation_groups(result),
        duplicates=duplicate_groups(result),
        out_of_category=[_line(result, int(row)) for row in result.strangers(MAX_OUT_OF_CATEGORY)],
        candidates=candidates_by_category(result),
        seconds={step: seconds for step, seconds in result.seconds.items() if step != "all"},
        seconds_in_all=result.seconds.get("all", sum(result.seconds.values())),
        notes=[readable(note) for note in result.notes],
        provenance=readable(as_json(result.provenance)),
    )


def item_cards(result: AuditResult, rows: np.ndarray, words: Mapping[int, Sequence[tuple[str, float]]]) -> list[dict[str, Any]]:
    """What the page shows of each row: its text, what is proposed, and the evidence."""
    group_of = None if result.duplicates is None else result.duplicates.numbers()
    cards = []
    for rank, row in enumerate(rows.tolist(), start=1):
        given, suggested = int(result.given[row]), int(result.suggested[row])
        copies: Sequence[int] = ()
        if result.duplicates is not None and group_of is not None and group_of[row] >= 0:
            copies = [other for other in result.duplicates.groups[group_of[row]] if other != row]
        marked = list(words.get(row, ()))
        text = None if result.texts is None else result.texts[row]
        cards.append(
            _line(result, row)
            | {
                "rank": rank,
                "text": shown_text(text or "", marked) if text is not None or marked else None,
                "suggestion_probability": float(result.suggestion_probability[row]),
                "reason": sentence(
                    result.reason(row), [result.categories[n] for n in {given, suggested, *result.given[list(copies)].tolist()}]
                ),
                "near": [
                    {"name": _name(result, number), "items": [_line(result, other, _NEAR) for other in result.neighbors_in(row, number)]}
                    for number in (given, suggested)
                ],
                "copies": [_line(result, other, _NEAR) for other in copies[:MAX_OF_GROUP]],
                "n_more_copies": max(len(copies) - MAX_OF_GROUP, 0),
            }
        )
    return cards


def sentence_case(text: str) -> str:
    """With a capital at its beginning, whatever stands there."""
    return text[:1].upper() + text[1:]


def sentence(text: str, names: Sequence[str]) -> str:
    """A sentence with names of categories in it, long ones cut, and those of other scripts kept from turning the words around them."""
    for name in sorted(names, key=len, reverse=True):
        if len(name) > _NAME or not name.isascii():
            text = text.replace(repr(name), f"\u2068{shortened(readable(name), _NAME)!r}\u2069")
    return shortened(readable(text), _REASON)


def check_line(result: AuditResult, n_first: int) -> str | None:
    """What planted errors say of the list, in two sentences."""
    check = result.check
    if check is None:
        return None
    at = int(np.searchsorted(check.reviews, n_first, side="right")) - 1
    if at < 0 or not check.n_planted:
        return str(check.verdict())
    return (
        f"{check.reason[0].upper()}{check.reason[1:]} The first {check.reviews[at]:,} of the ranking hold {check.found[at]:.0%} of them, "
        "without the items that were suspect before."
    )


def relation_groups(result: AuditResult) -> list[dict[str, Any]]:
    """Relations by kind, those to merge first; the strongest of each."""
    groups = []
    for kind, (heading, meaning) in RELATIONS.items():
        found = sorted((relation for relation in result.relations if relation.kind == kind), key=lambda relation: -relation.strength)
        if found:
            shown = [
                {
                    "names": [shortened(readable(name), _NAME) for name in relation.categories],
                    "strength": relation.strength,
                    "evidence": sentence(relation.evidence, relation.categories),
                }
                for relation in found[:MAX_RELATIONS]
            ]
            seen, folded = shown[:RELATIONS_SEEN], shown[RELATIONS_SEEN:]
            groups.append({"heading": heading, "meaning": meaning, "n": len(found), "seen": seen, "folded": folded})
    return groups


def duplicate_groups(result: AuditResult) -> dict[str, Any] | None:
    """Groups of duplicates, those with different labels first; of an exact group the text stands once."""
    found = result.duplicates
    if found is None or not found.groups:
        return None
    conflicting = set(found.conflicting)
    order = sorted(range(len(found.groups)), key=lambda number: found.groups[number] not in conflicting)
    groups = []
    for number in order[:MAX_GROUPS]:
        rows = found.groups[number]
        groups.append(
            {
                "conflicting": rows in conflicting,
                "exact": found.is_exact[number],
                "n": len(rows),
                "rows": [_line(result, row) for row in _one_of_each_label_first(result, rows)[:MAX_OF_GROUP]],
            }
        )
    return {
        "conflicting": [group for group in groups if group["conflicting"]],
        "agreeing": [group for group in groups if not group["conflicting"]],
        "n_conflicting": len(conflicting),
        "n_agreeing": len(found.groups) - len(conflicting),
        "threshold": found.threshold,
    }


def _one_of_each_label_first(result: AuditResult, rows: Sequence[int]) -> list[int]:
    """A long group is cut on the page, and what its labels disagree on should be seen all the same."""
    numbers = result.given[list(rows)]
    first = set(np.unique(numbers, return_index=True)[1].tolist())
    return [row for i, row in enumerate(rows) if i in first] + [row for i, row in enumerate(rows) if i not in first]


def candidates_by_category(result: AuditResult) -> dict[str, Any]:
    """For each category the items given another one that likely belong there, as :meth:`AuditResult.candidates_for` ranks them."""
    worth_a_look = np.zeros(len(result), bool)
    worth_a_look[result.to_review()] = True
    open_rows = np.flatnonzero(worth_a_look & (result.suggestion_probability >= LEAST_CANDIDATE) & (result.suggested != result.given))
    open_rows = open_rows[np.argsort(-result.suggestion_probability[open_rows], kind="stable")]
    of_category: dict[int, list[int]] = {}
    for row in open_rows.tolist():
        of_category.setdefault(int(result.suggested[row]), []).append(row)
    numbers = sorted(of_category)[:MAX_CATEGORIES]
    return {
        "categories": [
            {
                "name": _name(result, number),
                "n": len(of_category[number]),
                "items": [
                    _line(result, row) | {"suggestion_probability": float(result.suggestion_probability[row])}
                    for row in of_category[number][:MAX_CANDIDATES]
                ],
            }
            for number in numbers
        ],
        "n_categories": len(of_category),
        "n": len(open_rows),
        "least": LEAST_CANDIDATE,
    }


def shown_probability(probability: float) -> str:
    """Two digits, and never 1.00 or 0.00 of something that is not certain."""
    if 0.995 <= probability < 1:
        return "> 0.99"
    return "< 0.01" if 0 < probability < 0.005 else f"{probability:.2f}"


def _line(result: AuditResult, row: int, letters: int = _SHORT) -> dict[str, Any]:
    """One item in a line."""
    return {
        "row": row,
        "short": None if result.texts is None else shortened(readable(result.texts[row][: 20 * letters]), letters),
        "given": _name(result, int(result.given[row])),
        "suggested": _name(result, int(result.suggested[row])),
        "probability": float(result.probability[row]),
        "shown_probability": shown_probability(float(result.probability[row])),
        "shown_suggestion": shown_probability(float(result.suggestion_probability[row])),
        "reviewed": bool(result.reviewed[row]),
        "farther_than": 1 - float(result.out_of_category_p[row]),
    }


def _name(result: AuditResult, number: int) -> str:
    return shortened(readable(result.categories[number]), _NAME)
