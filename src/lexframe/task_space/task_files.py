"""Tasks from people's files: minimal pairs, prompts with two continuations, and labeled texts."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lexframe.data.tables.kinds import records_of
from lexframe.data.tables.records import Form, Records, field_of, holds
from lexframe.data.tables.sources import PACKINGS
from lexframe.data.tables.values import OddValueError, label_of, text_of
from lexframe.exceptions import DataError, InputError
from lexframe.spaces.templates import Template
from lexframe.task_space.tasks import Contrast, Task

SIDES = (("good", "bad"), ("sentence_good", "sentence_bad"), ("right", "wrong"))
"""What the better and the worse side are called: here, in BLiMP's own files, and where both go on from a prompt."""

TASK_COLUMNS, GROUP_COLUMNS = ("task", "uid", "UID"), ("group", "term", "linguistics_term")
# Slips of the published files. Some paradigms, such as animate_subject_passive, are filed under "s-selection"; the paper counts them as
# argument structure, and alone they would be a phenomenon that no table has. One field is written in two ways.
_BLIMP_TERMS = {"s-selection": "argument_structure"}
_BLIMP_FIELDS = {"syntax/semantics": "syntax_semantics"}

LabelWords = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Labeled:
    """How labeled texts become pairs."""

    template: Template
    words: LabelWords | None
    text: str
    label: str


@dataclass(slots=True)
class _Found:
    """The pairs of one task so far, and where its first one stood."""

    group: str | None
    wider: str | None
    where: str
    file: Path
    is_named: bool
    pairs: list[Contrast] = field(default_factory=list)


def read_tasks(
    paths: str | Path | Sequence[str | Path],
    *,
    template: str = "{text}",
    label_words: LabelWords | None = None,
    text_column: str = "text",
    label_column: str = "label",
    most: int | None = None,
    seed: int = 0,
) -> list[Task]:
    """Tasks of one file or several, each of whichever form its columns show.

    - ``good`` and ``bad`` (in BLiMP's own files ``sentence_good`` and ``sentence_bad``): two texts, the first the better one.
    - ``prompt``, ``right`` and ``wrong``: two ways to go on from a prompt, which is read and not scored. A blank is put before them
      where neither the prompt ends nor they begin with white space. ``good`` and ``bad`` may have a prompt too.
    - ``text`` and ``label``: the whole file is one task. The prompt is the template with the text in it, the better side the word of
      the text's label, the worse one that of another label, drawn at random for each text.

    Rows of the first two forms name their task in ``task`` (or ``uid``, ``UID``), and may have a ``group`` (or ``term``,
    ``linguistics_term``) and a ``field``. Where no task is named, and for labeled texts, it is called as the file is.

    Parameters
    ----------
    paths : str, Path or sequence of them
        See :func:`lexframe.data.read_table` for the kinds of files. Several join: pairs of one task may stand in two files.
    template : str
        Around a labeled text, with ``{text}`` once.
    label_words : mapping of str to (str or sequence of str), optional
        The word of each label; the first of several. Default: each label's own name.
    text_column, label_column : str
        Where labeled texts have theirs.
    most : int, optional
        At most so many pairs a task, drawn at random; they stay in their order. A task draws the same ones whichever tasks stand beside.
    seed : int
        Of these draws, and of the worse labels.

    Returns
    -------
    list of Task
        In the order in which they first come.

    Raises
    ------
    DataError
        If a file cannot be read, is of none of these forms, a field is missing or no text, a label has no word, or a task has two groups.
    InputError
        If no file is named, `most` is below 1, or the template has no ``{text}``.
    """
    listed = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not listed:
        raise InputError("No file is named; give one with pairs, or several.", parameter="paths")
    if most is not None and most < 1:
        raise InputError(f"most is {most}; expected 1 or more, or None for all pairs.", parameter="most")
    twice = next((path for path in listed if listed.count(path) > 1), None)
    if twice is not None:
        raise DataError(f"{twice} is named twice, so each of its pairs would count double. Name it once.", parameter="paths")
    labeled = _Labeled(Template.parse(template), label_words, text_column, label_column)
    found: dict[str, _Found] = {}
    for path in listed:
        _read_file(path, labeled, found, seed)
    return [Task(name, _drawn(one.pairs, most, seed, name), one.group, one.wider) for name, one in found.items()]


def _read_file(path: Path, labeled: _Labeled, found: dict[str, _Found], seed: int) -> None:
    records = records_of(path, {}, text=labeled.text, label=labeled.label, form=Form())
    rows = [(records.where(place), row) for place, row in records.rows]
    if not rows:
        raise DataError(f"{records.name} holds no row. Give a file with at least one.")
    first = rows[0][1]
    sides = next((pair for pair in SIDES if holds(first, pair[0]) and holds(first, pair[1])), None)
    if sides is not None and (sides[0] != "right" or holds(first, "prompt")):
        _read_pairs(path, rows, sides, found)
    elif holds(first, labeled.text) and holds(first, labeled.label):
        name = _stem(path)
        pairs = _label_pairs(records.name, rows, labeled, np.random.default_rng([seed, zlib.crc32(name.encode()), 1]))
        _add(found, name, _Found(None, None, rows[0][0], path, False), pairs)
    else:
        raise _unknown_form(records, first, labeled)


def _unknown_form(records: Records, first: Mapping[str, Any], labeled: _Labeled) -> DataError:
    listed = ", ".join(repr(name) for name in [*first][:8] if name) or "none that has a name"
    return DataError(
        f"{records.name}: the columns are {listed}. Expected good and bad (in BLiMP's files sentence_good and sentence_bad); or prompt, "
        f"right and wrong; or, for labeled texts, {labeled.text} and {labeled.label}. Name the columns so; those of labeled texts can be "
        "named otherwise with text_column and label_column.",
        parameter=("text_column", "label_column"),
    )


def _read_pairs(path: Path, rows: list[tuple[str, Mapping[str, Any]]], sides: tuple[str, str], found: dict[str, _Found]) -> None:
    is_named = _first_of(rows[0][1], TASK_COLUMNS) is not None
    has_prompt = holds(rows[0][1], "prompt")
    for where, row in rows:
        column = _first_of(row, TASK_COLUMNS)
        if (column is not None) != is_named:
            raise DataError(f"{where}: some rows of this file name their task and others do not. Give every row a task, or none.")
        good, bad = (_text(where, row, side) for side in sides)
        prompt = _text(where, row, "prompt", may_be_empty=True) if has_prompt or holds(row, "prompt") else ""
        name = _stem(path) if column is None else _name(where, row, column)
        if name is None:
            raise DataError(f"{where}: the field {column!r} is empty; expected the name of a task. Give every row one.")
        contrast = Contrast(_going_on(prompt, good), _going_on(prompt, bad), prompt)
        _add(found, name, _Found(*_kinds(where, row), where, path, is_named), [contrast])


def _kinds(where: str, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Group and field of a row."""
    column = _first_of(row, GROUP_COLUMNS)
    group = None if column is None else _name(where, row, column)
    wider = _name(where, row, "field") if holds(row, "field") else None
    if _first_of(row, ("uid", "UID")) is not None:
        group, wider = _BLIMP_TERMS.get(group or "", group), _BLIMP_FIELDS.get(wider or "", wider)
    return group, wider


def _add(found: dict[str, _Found], name: str, new: _Found, pairs: Iterable[Contrast]) -> None:
    old = found.setdefault(name, new)
    for what, before, now in (("group", old.group, new.group), ("field", old.wider, new.wider)):
        if before != now:
            raise DataError(
                f"{new.where}: the task {name!r} has the {what} {now!r} here and {before!r} in {old.where}. Give it one {what}, or call "
                "one of the two otherwise."
            )
    if old.file != new.file and not (old.is_named and new.is_named):
        raise DataError(
            f"{new.where}: a task {name!r} came from {old.where} already, and no column says that the two are one. Rename a file, or give "
            "both a column task.",
            parameter="paths",
        )
    old.pairs.extend(pairs)


def _label_pairs(name: str, rows: list[tuple[str, Mapping[str, Any]]], labeled: _Labeled, rng: np.random.Generator) -> Iterable[Contrast]:
    texts = [(_text(where, row, labeled.text), _label(where, row, labeled.label)) for where, row in rows]
    places: dict[str, str] = {}
    for (where, _), (_, label) in zip(rows, texts, strict=True):
        places.setdefault(label, where)
    words = {label: _word(where, label, labeled.words) for label, where in places.items()}
    labels = sorted(words)
    if len(labels) < 2:
        raise DataError(
            f"{name}: every text has the label {labels[0]!r}; a pair needs the word of another. Give texts of two labels or more."
        )
    spoken: dict[str, str] = {}
    for label, word in words.items():
        if spoken.setdefault(word.strip(), label) != label:
            raise DataError(
                f"{name}: the labels {spoken[word.strip()]!r} and {label!r} have one word, {word!r}; the sides of a pair have to differ. "
                "Give each a word of its own.",
                parameter="label_words",
            )
    for text, label in texts:
        others = [other for other in labels if other != label]
        prompt = labeled.template.fill(text)
        yield Contrast(_going_on(prompt, words[label]), _going_on(prompt, words[others[rng.integers(len(others))]]), prompt)


def _word(where: str, label: str, words: LabelWords | None) -> str:
    given: str | Sequence[str] = label if words is None else words.get(label, ())
    word = given if isinstance(given, str) else next(iter(given), "")
    if not word.strip():
        known = ", ".join(map(repr, [*(words or {})][:8])) or "none"
        raise DataError(f"{where}: the label {label!r} has no word; there are words for {known}. Give it one.", parameter="label_words")
    return word


def _text(where: str, row: Mapping[str, Any], name: str, *, may_be_empty: bool = False) -> str:
    value = field_of(row, name) if holds(row, name) else None
    if not isinstance(value, str):
        found = "is missing" if value is None else f"holds {type(value).__name__}, not text"
        raise DataError(f"{where}: the field {name!r} {found}; expected a text. Write one, or leave the row out.")
    if not may_be_empty and not value.strip():
        raise DataError(f"{where}: the field {name!r} is empty; expected a text. Write one, or leave the row out.")
    try:
        return text_of(value)
    except OddValueError as error:
        raise DataError(f"{where}: the field {name!r} {error}") from None


def _name(where: str, row: Mapping[str, Any], column: str) -> str | None:
    """The name of a task or a group, numbers as they are written; None where the field is empty."""
    try:
        return label_of(field_of(row, column)) or None
    except OddValueError as error:
        raise DataError(f"{where}: the field {column!r} {error}") from None


def _label(where: str, row: Mapping[str, Any], column: str) -> str:
    label = _name(where, row, column) if holds(row, column) else None
    if label is None:
        raise DataError(f"{where}: the field {column!r} is missing; expected a label. Write one, or leave the row out.")
    return label


def _going_on(prompt: str, text: str) -> str:
    return text if not prompt or prompt[-1].isspace() or text[0].isspace() else f" {text}"


def _first_of(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    return next((column for column in columns if holds(row, column)), None)


def _stem(path: Path) -> str:
    packing = next((each for each in PACKINGS if path.name.lower().endswith(each)), "")
    return Path(path.name[: len(path.name) - len(packing)]).stem


def _drawn(pairs: list[Contrast], most: int | None, seed: int, name: str) -> tuple[Contrast, ...]:
    if most is None or len(pairs) <= most:
        return tuple(pairs)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return tuple(pairs[place] for place in np.sort(rng.choice(len(pairs), most, replace=False)))
