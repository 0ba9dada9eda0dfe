"""What a task is: pairs of which one side is better, such as a grammatical sentence beside an ungrammatical one."""

from collections.abc import Sequence
from dataclasses import dataclass

from lexframe.exceptions import DataError


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two texts of which the first is the better one, perhaps after a prompt that both go on from.

    Attributes
    ----------
    good, bad : str
        The two sides, or two continuations of the prompt, with the blank before them where one belongs there.
    prompt : str
        Read and never scored.
    """

    good: str
    bad: str
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One ability, as pairs that ask for it.

    Attributes
    ----------
    name : str
    pairs : tuple of Contrast
    group : str or None
        What tasks of one kind have in common, such as BLiMP's phenomenon.
    field : str or None
        A wider group, such as morphology.
    """

    name: str
    pairs: tuple[Contrast, ...]
    group: str | None = None
    field: str | None = None


def checked_tasks(tasks: Sequence[Task]) -> list[Task]:
    """The tasks, each with a name of its own and one pair or more.

    Parameters
    ----------
    tasks : sequence of Task

    Raises
    ------
    DataError
        If there is no task, two have one name, or one has no pair.
    """
    found = list(tasks)
    names = [task.name for task in found]
    if not found:
        raise DataError("There is no task. Give pairs with good, bad and task.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"Two tasks are called {twice!r}. Give each a name of its own.")
    empty = next((task.name for task in found if not task.pairs), None)
    if empty is not None:
        raise DataError(f"The task {empty!r} has no pair. Leave it out, or give it pairs.")
    return found
