"""How the verbs of ``lexframe verbal`` read rows, and what they share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lexframe.cli import options, table_options
from lexframe.cli.bundles import FieldsOf
from lexframe.exceptions import InputError

if TYPE_CHECKING:
    from lexframe.verbal.settings import Settings
    from lexframe.verbal.task import Sample, Task

Kind = Literal["program", "sentences", "examples"]

Run = Annotated[Path, typer.Argument(help="Folder made by lexframe verbal fit --out.")]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns are inputs, and which is predicted.

    Attributes
    ----------
    label, target
        The one that is given.
    text, inputs
        Default: all other columns.
    """

    label: Annotated[str | None, typer.Option("--label", metavar="COLUMN", help="Column that holds the labels. A classification.")] = None
    target: Annotated[str | None, typer.Option("--target", metavar="COLUMN", help="Column of numbers to predict: a regression.")] = None
    text: Annotated[str | None, typer.Option("--text", metavar="COLUMN", help="Column that holds the texts.")] = None
    inputs: Annotated[str | None, typer.Option(metavar="COLUMNS", help="The inputs, comma-separated. Default: all other columns.")] = None

    @property
    def predicted(self) -> str:
        """The column that is predicted.

        Raises
        ------
        InputError
            If none is named, or both are.
        """
        if (self.label is None) == (self.target is None):
            raise InputError("Name what is predicted: --label COLUMN for classes, or --target COLUMN for numbers; one of them.")
        return self.label or self.target or ""

    def sample(self, files: table_options.TextTables, path: Path) -> "Sample":
        """The rows of a file with their targets."""
        from lexframe.verbal import Rows, classification_sample, regression_sample

        given, targets = self._read(files, path)
        rows = Rows.of(given, texts=[self.text] if self.text else ())
        return (regression_sample if self.label is None else classification_sample)(rows, targets)

    def tested(self, files: table_options.TextTables, path: Path, task: "Task", sample: "Sample") -> "Sample":
        """The rows of a file that are scored, with the columns of the training rows."""
        from lexframe.exceptions import DataError
        from lexframe.verbal import scored_sample

        given, targets = self._read(files, path)
        try:
            return scored_sample(task, sample, given, targets)
        except InputError as error:
            raise DataError(f"{path}: {error}") from error

    def _read(self, files: table_options.TextTables, path: Path) -> tuple[dict[str, Any], Any]:
        """Columns of inputs, and the one that is predicted."""
        predicted, named = self.predicted, self.named
        if predicted in named:
            raise InputError(f"{predicted!r} is predicted, and cannot be an input as well.")
        found = files.columns(path, [predicted, *named], others=not named)
        given = {name: found.values[name] for name in named or found.values if name != predicted}
        if not given:
            raise InputError(f"{path} has no column beside {predicted!r}: there is nothing to predict it from.")
        return given, found.values[predicted]

    @property
    def named(self) -> list[str]:
        """The inputs that were named."""
        return [*([self.text] if self.text else []), *options.comma_separated(self.inputs)]


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What may be spent, and what tokens cost.

    Attributes
    ----------
    budget_calls, budget_tokens, budget_money, price_prompt, price_completion
        See :class:`~lexframe.verbal.clients.metered.Budget` and :class:`~lexframe.verbal.clients.metered.Price`.
    """

    budget_calls: Annotated[int | None, typer.Option(help="Calls at most.")] = None
    budget_tokens: Annotated[int | None, typer.Option(help="Tokens at most, read and written.")] = None
    budget_money: Annotated[float | None, typer.Option(help="Money at most, in the currency of the prices.")] = None
    price_prompt: Annotated[float, typer.Option(help="Of a million tokens that are read.")] = 0.0
    price_completion: Annotated[float, typer.Option(help="Of a million tokens that are written.")] = 0.0

    def within(self, settings: "Settings") -> "Settings":
        """Settings with this budget.

        Raises
        ------
        InputError
            If a budget is 0 or less, or one of money has no prices.
        """
        from lexframe.verbal.clients.metered import Budget, Price

        if self.budget_money is not None and not (self.price_prompt or self.price_completion):
            raise InputError("A budget of money needs --price-prompt and --price-completion, for a million tokens each.")
        budget = Budget(self.budget_calls, self.budget_tokens, self.budget_money)
        return replace(settings, budget=budget, price=Price(self.price_prompt, self.price_completion))


@dataclass(frozen=True, kw_only=True)
class Model:
    """What kind of parameters, and how training is done.

    Attributes
    ----------
    kind, prior, free, by_words
        See :class:`~lexframe.verbal.task.Task` and :class:`~lexframe.verbal.learner.Reading`.
    """

    kind: Annotated[
        Kind,
        typer.Option(
            help="program: sentences with a formula or rules that are executed. sentences: the model follows them. examples: and sees rows."
        ),
    ] = "program"
    prior: Annotated[str, typer.Option(metavar="TEXT", help="What is known beforehand: part of the first parameters.")] = ""
    free: Annotated[bool, typer.Option("--free", help="Do not hold answers to their format, even where the model can be.")] = False
    by_words: Annotated[bool, typer.Option("--by-words", help="Take a label as it is written, not by its probability.")] = False
    explain: Annotated[bool, typer.Option("--explain", help="Ask for an explanation with every prediction, as published.")] = False

    def task(self, sample: "Sample", columns: Columns) -> "Task":
        """The task of the rows."""
        from lexframe.verbal import task_of

        is_regression = columns.label is None
        return task_of(sample, is_regression=is_regression, target=columns.predicted, prior=self.prior, kind=self.kind)

    def settings(self, steps: Any, proposing: Any, selection: Any, seed: int) -> "Settings":
        """The settings of training."""
        from lexframe.verbal import Reading, Settings

        reading = Reading(
            explains=self.explain, constrained=not self.free, by_probability=not self.by_words, answer_tokens=160 if self.explain else 64
        )
        return Settings(steps, replace(proposing, constrained=not self.free), selection, reading, seed=seed)


AboutColumns = Annotated[Columns, FieldsOf(Columns)]
AboutSpending = Annotated[Spending, FieldsOf(Spending)]
AboutModel = Annotated[Model, FieldsOf(Model)]
AboutSteps = Annotated[Any, FieldsOf("lexframe.verbal.settings:Steps")]
AboutProposing = Annotated[Any, FieldsOf("lexframe.verbal.settings:Proposing", without=("constrained",))]
AboutSelection = Annotated[Any, FieldsOf("lexframe.verbal.settings:Selection")]
Seed = Annotated[int, typer.Option(min=0, help="Of splits, batches, selection and draws.")]
