"""Files of lexical graphs: which words are linked, and how."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lexframe.data.tables.encodings import text_lines
from lexframe.exceptions import DataError
from lexframe.text_forms import counted


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
        third column is a number, a weight. A first line that names its columns ``word1`` and ``word2`` is left out. Between tabs a
        quote is a letter. A ``.txt`` without tabs is a lexicon: on every line a word and those that belong to it, with blanks
        between, which is what the programs of Faruqui et al. (2015) read. ``.jsonl`` (also
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
    elif name.endswith(".txt") and _is_lexicon(path):
        edges = _lexicon(path)
    elif name.endswith((".tsv", ".txt", ".csv")):
        edges = _delimited(path, "," if name.endswith(".csv") else "\t")
    else:
        raise DataError(f"{path}: unknown kind of file. Expected one of {', '.join(SUFFIXES)}.")
    if not edges:
        raise DataError(f"{path} holds no edge; every line should be {_EXPECTED}.")
    return tuple(edges)


def _delimited(path: Path, delimiter: str) -> list[Edge]:
    """Edges of a table of two or three columns."""
    rows: list[tuple[list[str], int]] = []
    for row, line in _fields(path, delimiter):
        fields = [field.strip() for field in row]
        if not any(fields) or (not rows and tuple(fields[:2]) == _NAMES):
            continue
        if len(fields) not in (2, 3) or not fields[0] or not fields[1]:
            raise DataError(f"{path}, line {line}: {counted(len(fields), 'column')}; expected {_EXPECTED}. Correct the line or remove it.")
        rows.append((fields, line))
    thirds = [fields[2] for fields, _ in rows if len(fields) == 3]
    if thirds and all(_number(third) is not None for third in thirds):
        return [
            Edge(fields[0], fields[1], weight=_weight(fields[2] if len(fields) == 3 else 1, f"{path}, line {line}"))
            for fields, line in rows
        ]
    return [Edge(fields[0], fields[1], "".join(fields[2:])) for fields, _ in rows]


def _fields(path: Path, delimiter: str) -> Iterator[tuple[list[str], int]]:
    """Fields and number of every line. Between tabs a quote is a letter, but for fields that stand in quotes as a whole."""
    if delimiter == "\t":
        for number, line in enumerate(text_lines(path), start=1):
            yield [_unquoted(field) for field in line.rstrip("\r\n").split("\t")], number
        return
    reader = csv.reader(text_lines(path), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            yield row, reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}. Check the quotes.") from error


def _unquoted(field: str) -> str:
    inner = field.strip()
    if len(inner) >= 2 and inner[0] == inner[-1] == '"' and '"' not in inner[1:-1].replace('""', ""):
        return inner[1:-1].replace('""', '"') or field
    return field


def _lexicon(path: Path) -> list[Edge]:
    """Edges of a lexicon: a word and the words that belong to it on every line, with blanks between.

    Where every line has two words and a number, the number is a weight.
    """
    lines = [(fields, number) for number, line in enumerate(text_lines(path), start=1) if (fields := line.split())]
    heading = next(((fields, number) for fields, number in lines if fields[0].startswith(":")), None)
    if heading is not None:
        raise DataError(
            f"{path}, line {heading[1]}: {' '.join(heading[0])!r} heads questions of analogies; expected {_EXPECTED}, or a word and those "
            "that belong to it."
        )
    if all(len(fields) == 3 and _number(fields[2]) is not None for fields, _ in lines):
        return [Edge(fields[0], fields[1], weight=_weight(fields[2], f"{path}, line {number}")) for fields, number in lines]
    return [Edge(fields[0], other) for fields, _ in lines for other in fields[1:] if other != fields[0]]


def _is_lexicon(path: Path) -> bool:
    """Whether the first lines hold blanks and no tab."""
    first = [line.strip() for line in islice(text_lines(path), 100) if line.strip()]
    return bool(first) and not any("\t" in line for line in first) and any(" " in line for line in first)


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
