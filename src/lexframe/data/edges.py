"""Files of lexical graphs: which words are linked, and how."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexframe.data.readers import text_lines
from lexframe.exceptions import DataError


@dataclass(frozen=True, slots=True)
class Edge:
    """Two words that a lexical graph links.

    Attributes
    ----------
    word, other : str
        In no order: links go both ways.
    relation : str
        Such as ``"synonym"``; empty where the graph names none.
    weight : float
        How strongly they are linked, 0 or more.
    """

    word: str
    other: str
    relation: str = ""
    weight: float = 1.0


SUFFIXES = (".tsv", ".csv", ".txt", ".jsonl", ".jsonl.gz")
_NAMES = ("word1", "word2")
_EXPECTED = "a word, a word, and if you like a relation or a weight"


def read_edges(path: str | Path) -> tuple[Edge, ...]:
    """Read the links of a lexical graph.

    Parameters
    ----------
    path : str or Path
        ``.tsv``, ``.csv`` or ``.txt`` (tabs; all also ``.gz``) with two or three columns: word, word, and a relation or, where every
        third column is a number, a weight. A first line that names its columns ``word1`` and ``word2`` is left out. ``.jsonl`` (also
        ``.gz``) has the fields word1, word2, and optionally relation and weight.

    Returns
    -------
    tuple of Edge

    Raises
    ------
    DataError
        If the file is missing, of another kind, not UTF-8, holds no edge, or a line cannot be used.
    """
    path = Path(path)
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir() or not path.exists():
        raise DataError(f"{path}: no such file. Name a file of edges ({', '.join(SUFFIXES)}).")
    if name.endswith(".jsonl"):
        edges = list(_jsonl(path))
    elif name.endswith((".tsv", ".txt", ".csv")):
        edges = _delimited(path, "," if name.endswith(".csv") else "\t")
    else:
        raise DataError(f"{path}: unknown kind of file. Expected one of {', '.join(SUFFIXES)}.")
    if not edges:
        raise DataError(f"{path} holds no edge; every line should be {_EXPECTED}.")
    return tuple(edges)


def _delimited(path: Path, delimiter: str) -> list[Edge]:
    rows: list[tuple[list[str], int]] = []
    reader = csv.reader(text_lines(path), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if not any(fields) or (not rows and tuple(fields[:2]) == _NAMES):
                continue
            if len(fields) not in (2, 3) or not fields[0] or not fields[1]:
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(fields)} columns; expected {_EXPECTED}. Correct the line or remove it."
                )
            rows.append((fields, reader.line_num))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}. Check the quotes.") from error
    thirds = [fields[2] for fields, _ in rows if len(fields) == 3]
    if thirds and all(_number(third) is not None for third in thirds):
        return [
            Edge(fields[0], fields[1], weight=_weight(fields[2] if len(fields) == 3 else 1, f"{path}, line {line}"))
            for fields, line in rows
        ]
    return [Edge(fields[0], fields[1], "".join(fields[2:])) for fields, _ in rows]


def _jsonl(path: Path) -> Iterator[Edge]:
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON. Every line must be one object with word1 and word2.") from error
        words = [_word(row.get(name)) for name in _NAMES] if isinstance(row, dict) else []
        if not all(words) or not words:
            raise DataError(f"{where}: expected an object whose word1 and word2 are words. Correct the line or remove it.")
        yield Edge(words[0], words[1], str(row.get("relation") or ""), _weight(row.get("weight", 1), where))


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _weight(value: Any, where: str) -> float:
    weight = _number(value)
    if weight is None or not 0 <= weight < float("inf"):
        raise DataError(f"{where}: the weight is {value!r}; expected a number from 0 up. Correct the line or remove it.")
    return weight


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
