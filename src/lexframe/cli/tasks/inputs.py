"""What the verbs of ``lexframe tasks`` share: how pairs and ordinary text are read, how results are written and printed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexframe.cli import options, printing
from lexframe.cli.bundles import FieldsOf
from lexframe.exceptions import DataError

if TYPE_CHECKING:
    from lexframe.task_space import Task

_NAME = 40

Files = Annotated[
    list[Path],
    typer.Argument(help="Pairs (good, bad, task), prompts (prompt, right, wrong, task) or labeled texts (text, label); one kind a file."),
]
AboutWork = Annotated[Any, FieldsOf("lexframe.task_space.work:Work")]
Seed = Annotated[int, typer.Option(min=0, help="Of draws of pairs, blocks and splits.")]


class SpokenLabels(Mapping[str, list[str]]):
    """The words of labels: those that were given, and of any other label its own name.

    Parameters
    ----------
    entries : sequence of str
        Such as ``"pos=good"``.
    """

    def __init__(self, entries: Sequence[str]):
        from lexframe.data import label_words_from

        self.given = label_words_from(entries, [entry.partition("=")[0].strip() for entry in entries])
        self.seen: set[str] = set()

    def __getitem__(self, label: str) -> list[str]:
        from lexframe.data import label_words_from

        return self.given.get(label) or label_words_from((), [label])[label]

    def get(self, label: str, default: Any = None) -> Any:
        """The words of a label that stands in a file; see :meth:`check`."""
        self.seen.add(label)
        return self[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)

    def check(self) -> None:
        """Refuse words for a label that stood nowhere.

        Raises
        ------
        DataError
        """
        unknown = next((label for label in self.given if label not in self.seen), None)
        if unknown is not None:
            labels = ", ".join(sorted(self.seen)[:12]) or "none: no file holds labeled texts"
            raise DataError(f"Words are given for the label {unknown!r}, but the labels are {labels}.", parameter="label_words")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """How files become tasks.

    Attributes
    ----------
    template, text, label, label_words, max_pairs
        See :func:`lexframe.task_space.read_tasks`.
    """

    template: Annotated[str, typer.Option(metavar="TEMPLATE", help="Text around a labeled text, with {text} once.")] = "{text}"
    text: options.Text = "text"
    label: options.Label = "label"
    label_words: options.LabelWords = None
    max_pairs: Annotated[int | None, typer.Option(min=1, help="Most pairs of a task, drawn at random. Default: all.")] = None

    def read(self, files: Sequence[Path], seed: int) -> "list[Task]":
        """The tasks of files.

        Raises
        ------
        DataError
            If a file is none that is understood.
        """
        from lexframe.task_space import read_tasks

        words = SpokenLabels(self.label_words or [])
        try:
            tasks = read_tasks(
                files,
                template=self.template,
                label_words=words,
                text_column=self.text,
                label_column=self.label,
                most=self.max_pairs,
                seed=seed,
            )
        except DataError as error:
            named = str(error).replace("text_column", "--text").replace("label_column", "--label")
            raise DataError(named, parameter=error.parameters) from error
        words.check()
        return tasks

    def documents(self, path: Path) -> list[str]:
        """The texts of a file of ordinary text."""
        from lexframe.training.language_model.corpus import read_documents

        return list(read_documents(path, text_column=self.text))


AboutPairs = Annotated[Pairs, FieldsOf(Pairs)]


def write_beside(result: Any, report: Path | None, csv: Path | None, **page: Any) -> None:
    """The page and the table of a result, where they were asked for.

    Parameters
    ----------
    result : Result
    report, csv : Path or None
    **page
        What the page is given beside the result.
    """
    if report is not None:
        result.report(report, **page)
        printing.note(f"report: {report}")
    if csv is not None:
        from lexframe.data.tables.writing import write_columns

        frame = result.to_frame()
        write_columns(csv, {name: frame[name].tolist() for name in frame})
        printing.note(f"table: {csv}")


def shown(name: str | None) -> str:
    """A name on one line, without its middle where it is long; empty where there is none.

    Parameters
    ----------
    name : str or None
    """
    from lexframe.drawing.label_places import shown_names

    return "" if name is None else shown_names([printing.one_line(name)], _NAME)[0]


def interval(low: float, high: float) -> str:
    """Both ends of an interval.

    Parameters
    ----------
    low, high : float
    """
    return f"[{low:.2f}, {high:.2f}]"


def show_space(space: Any) -> None:
    """The verdict, a line a task, and what was left out.

    Parameters
    ----------
    space : TaskSpace
    """
    typer.echo(printing.one_line(str(space.verdict)) + "\n")
    rows = []
    for task in space.tasks:
        near = [f"{shown(name)} {value:.2f} {interval(low, high)}" for name, value, low, high in space.neighbors(task.name, limit=1)]
        rows.append([shown(task.name), shown(task.group), f"{task.accuracy.value:.2f}", f"{task.reliability.value:.2f}", *near])
    printing.table(["task", "group", "accuracy", "reliability", "nearest, with 95% interval"], rows)
    for each in space.dropped:
        printing.note(f"left out: {shown(each.name)}: {printing.one_line(each.reason)}")
    for note in space.notes:
        printing.note(f"note: {printing.one_line(note)}")
