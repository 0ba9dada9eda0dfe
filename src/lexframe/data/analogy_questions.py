"""Files of analogy questions: the Google test set's format, JSON lines, and the Bigger Analogy Test Set."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lexframe.data.tables.encodings import text_lines
from lexframe.exceptions import DataError

FORMATS = (
    "expected ': relation' lines with four words a line below (questions-words.txt), JSON lines with category, a, b, c and d, or "
    "'word<TAB>answer/answer' lines (BATS: a file a relation, or a folder of such files)"
)

_Odd = Callable[[str], None]
"""What is done with a line that cannot be used: raise, or count."""


@dataclass(frozen=True, slots=True)
class AnalogyQuestion:
    """The question which word is to b what a' is to a.

    Attributes
    ----------
    a, a_, b : str
        The three words that are given; `a_` is a'.
    answers : tuple of str
        Every word that counts as right.
    relation : str
        What ties a to a', such as ``"capital-world"``.
    """

    a: str
    a_: str
    b: str
    answers: tuple[str, ...] = ()
    relation: str = ""


@dataclass(frozen=True, slots=True)
class AnalogyQuestions:
    """Questions of one file or folder.

    Attributes
    ----------
    questions : tuple of AnalogyQuestion
        In the order of the file.
    source : str
        The file, for messages and reports.
    notes : tuple of str
        What a reader should know, such as lines that were skipped.
    """

    questions: tuple[AnalogyQuestion, ...]
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.questions)

    def __iter__(self) -> Iterator[AnalogyQuestion]:
        return iter(self.questions)


def read_questions(path: str | Path, *, skip_odd: bool = False) -> AnalogyQuestions:
    """Read analogy questions.

    Parameters
    ----------
    path : str or Path
        ``.jsonl`` (also ``.gz``) with the fields category, a, b, c, d for "a is to b as c is to d"; a text file (also ``.gz``) in the
        Google format; or a BATS file or folder, in which the pairs of one file make all ordered questions.
    skip_odd : bool
        Leave lines out that cannot be used, and say how many in the notes, instead of raising.

    Returns
    -------
    AnalogyQuestions

    Raises
    ------
    DataError
        If the file is missing, not UTF-8, holds no question, or a line cannot be used.
    """
    path, odd_lines = Path(path), list[str]()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; {FORMATS}.")

    def odd(problem: str) -> None:
        if not skip_odd:
            raise DataError(f"{problem} Correct the line, or skip such lines with skip_odd.", parameter="skip_odd")
        odd_lines.append(problem)

    questions = tuple(_folder(path, odd) if path.is_dir() else _file(path, odd))
    if not questions:
        raise DataError(
            f"{path} holds no question; {FORMATS}." + (f" The first of {len(odd_lines)} odd lines: {odd_lines[0]}" if odd_lines else "")
        )
    note = f"{len(odd_lines)} lines were skipped; the first: {odd_lines[0]}" if odd_lines else ""
    return AnalogyQuestions(questions, str(path), (note,) if note else ())


def _folder(path: Path, odd: _Odd) -> Iterator[AnalogyQuestion]:
    files = sorted(file for file in path.rglob("*.txt") if file.is_file())
    if not files:
        raise DataError(f"{path} holds no .txt file; a BATS folder has a .txt file a relation.")
    for file in files:
        yield from _bats(file, odd)


def _file(path: Path, odd: _Odd) -> Iterator[AnalogyQuestion]:
    if path.name.lower().endswith((".jsonl", ".jsonl.gz")):
        return _jsonl(path, odd)
    first = next((line for line in text_lines(path) if line.strip()), "")
    if "\t" in first and not first.startswith(":"):
        return _bats(path, odd)
    return _google(path, odd)


def _google(path: Path, odd: _Odd) -> Iterator[AnalogyQuestion]:
    relation = None
    for number, line in enumerate(text_lines(path), start=1):
        words = line.split()
        if not words:
            continue
        if words[0].startswith(":"):
            relation = line.strip().removeprefix(":").strip() or None
            if relation is None:
                odd(f"{path}, line {number}: a colon without the name of a relation.")
        elif relation is None:
            odd(f"{path}, line {number}: a question before the first ': relation' line.")
        elif len(words) != 4:
            odd(f"{path}, line {number}: {len(words)} words; a question has four, a b c d for 'a is to b as c is to d'.")
        else:
            yield AnalogyQuestion(words[0], words[1], words[2], (words[3],), relation)


def _jsonl(path: Path, odd: _Odd) -> Iterator[AnalogyQuestion]:
    names = ("category", "a", "b", "c", "d")
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            odd(f"{path}, line {number}: not JSON; every line must be one object with {', '.join(names)}.")
            continue
        values = [value.strip() if isinstance(value := row.get(name), str) else "" for name in names] if isinstance(row, dict) else []
        if not values or not all(values):
            odd(f"{path}, line {number}: expected an object whose {', '.join(names)} are words.")
            continue
        category, a, a_, b, answer = values
        yield AnalogyQuestion(a, a_, b, (answer,), category)


def _bats(path: Path, odd: _Odd) -> Iterator[AnalogyQuestion]:
    """All ordered pairs of the lines of one file; a' is the first answer of its line."""
    pairs: list[tuple[str, tuple[str, ...]]] = []
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("\t")]
        answers = tuple(answer.strip() for answer in fields[1].split("/") if answer.strip()) if len(fields) == 2 else ()
        if not fields[0] or not answers:
            odd(f"{path}, line {number}: expected a word, a tab, and answers with strokes between them.")
        else:
            pairs.append((fields[0], answers))
    for i, (a, targets) in enumerate(pairs):
        for j, (b, answers) in enumerate(pairs):
            if i != j:
                yield AnalogyQuestion(a, targets[0], b, answers, path.stem)
