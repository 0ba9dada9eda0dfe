"""Reading what a model wrote: strict headings first, then whatever can be made of it, and never a guess out of nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lexframe.exceptions import InputError
from lexframe.text_forms import normalized
from lexframe.verbal.parameters import Parameters, block_headings, read_program
from lexframe.verbal.task import Task

OUTPUT, EXPLANATION, REASONING, DESCRIPTIONS, EXAMPLES = "Output", "Explanation", "Reasoning", "New Pattern Descriptions", "Examples"
MOST_LETTERS = 6_000
"""Of the sentences of parameters: longer ones only fill the context of whoever reads them next."""
MOST_EXAMPLES = 8
_NUMBER = re.compile(r"(?<![\w.])[-+−]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?![\d,.]*\d)")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NOT_A_NUMBER = re.compile(r"(?<![\w])(?:nan|inf|infinity)(?![\w])", re.IGNORECASE)
_FENCE = re.compile(r"^\s*```.*$", re.MULTILINE)

Value = TypeVar("Value")


class UnreadableError(ValueError):
    """An answer that holds nothing that was asked for; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Value]):
    """What was read from an answer.

    Attributes
    ----------
    value : object
    strict : bool
        Whether it stood under the headings that were asked for.
    """

    value: Value
    strict: bool


def sections(text: str, headings: Sequence[str]) -> dict[str, str]:
    """What stands under headings that begin a line, in any case, with marks such as ``**`` or ``#`` around them or none.

    Parameters
    ----------
    text : str
    headings : sequence of str
        Without their colon.

    Returns
    -------
    dict of str to str
        Of those that were found; where one stands twice, the last.
    """
    names = "|".join(re.escape(heading) for heading in sorted(headings, key=len, reverse=True))
    marks = list(re.finditer(rf"^[ \t]*[#*_>\-]*[ \t]*({names})[*_ \t]*:[*_]*", text, re.IGNORECASE | re.MULTILINE))
    found = {}
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends[: len(marks)], strict=True):
        name = next(heading for heading in headings if heading.casefold() == mark.group(1).casefold())
        found[name] = text[mark.end() : end].strip()
    return found


def parse_number(text: str) -> Parsed[float]:
    """The number under ``Output:``, behind its last equals sign if there is one; else the last number in the text.

    A comma before three digits parts thousands, another one is a decimal point.

    Raises
    ------
    UnreadableError
        If there is none, there are several, or it is no finite number.
    """
    found = sections(text, (EXPLANATION, OUTPUT)).get(OUTPUT)
    if found:
        line = re.sub(r"^\W*?([-−])\s+(?=[\d.])", r"\1", found.splitlines()[0].rpartition("=")[2].strip())
        odd, numbers = _NOT_A_NUMBER.search(line), _NUMBER.findall(line)
        if odd:
            raise UnreadableError(f"the output is {odd.group()}")
        if len(numbers) > 1:
            raise UnreadableError(f"{len(numbers)} numbers in the output")
        if numbers:
            return Parsed(_finite(numbers[0]), True)
    numbers = _NUMBER.findall(text)
    if not numbers:
        raise UnreadableError("no number in the answer")
    return Parsed(_finite(numbers[-1]), False)


def parse_label(text: str, labels: Sequence[str]) -> Parsed[str]:
    """The label under ``Output:``; else the only label that the text names.

    Parameters
    ----------
    text : str
    labels : sequence of str
        Any texts: one may hold a heading, braces or another label.

    Raises
    ------
    UnreadableError
        If it names none, or more than one.
    """
    forms = [normalized(label) for label in labels]
    by_form = {form: label for form, label in zip(forms, labels, strict=True) if forms.count(form) == 1}
    exact = {" ".join(label.split()): label for label in labels}
    for mark in re.finditer(rf"^[ \t]*[#*_]*[ \t]*{OUTPUT}[*_ \t]*:", text, re.IGNORECASE | re.MULTILINE):
        rest = text[mark.end() :].strip()
        for candidate in (rest, rest.split("\n")[0]):
            if " ".join(candidate.split()) in exact:
                return Parsed(exact[" ".join(candidate.split())], True)
            form = normalized(candidate.strip(" \t\"'`*.“”")) if normalized(candidate) not in by_form else normalized(candidate)
            if form in by_form:
                return Parsed(by_form[form], True)
    whole = normalized(text.strip(" \t\n\"'`*.“”"))
    if whole in by_form:
        return Parsed(by_form[whole], False)
    named = _named(normalized(text), list(by_form))
    if len(named) == 1:
        return Parsed(by_form[named[0]], False)
    raise UnreadableError("no label in the answer" if not named else f"{len(named)} labels in the answer")


def _named(text: str, forms: list[str]) -> list[str]:
    """Forms that stand in a text as words of their own; one within a longer one that is named does not count."""
    found = []
    for form in sorted(forms, key=len, reverse=True):
        pattern = re.compile(rf"(?<!\w){re.escape(form)}(?!\w)")
        if form and pattern.search(text):
            found.append(form)
            text = pattern.sub("\0", text)
    return found


def _finite(text: str) -> float:
    text = text.replace("−", "-")
    number = float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text.replace(",", "."))
    if abs(number) > 1e300:
        raise UnreadableError(f"the number {text[:20]} is too large")
    return number


@dataclass(frozen=True, slots=True)
class Proposed:
    """Parameters that were proposed, and why.

    Attributes
    ----------
    parameters : Parameters
    reasoning : str
    """

    parameters: Parameters
    reasoning: str


def parse_proposal(text: str, task: Task, shown: Sequence[tuple[str, str]] = ()) -> Parsed[Proposed]:
    """Reasoning and new parameters.

    Parameters
    ----------
    text : str
    task : Task
    shown : sequence of (str, str)
        Rows and targets that the optimizer saw, of which examples are named by their numbers, from 1.

    Raises
    ------
    UnreadableError
        If there are no new descriptions, they are empty or too long, or a block is not in the language.
    """
    blocks = block_headings(task)
    wanted = (REASONING, DESCRIPTIONS, *blocks, *((EXAMPLES,) if task.kind == "examples" else ()))
    found = sections(_FENCE.sub("", text), wanted)
    sentences = found.get(DESCRIPTIONS)
    strict = REASONING in found and sentences is not None
    heading = next((name for name in blocks if found.get(name)), None)
    if blocks and heading is None:
        raise UnreadableError(f"no {' or '.join(blocks)} block")
    if not sentences and heading is None:
        raise UnreadableError(f"no text under {DESCRIPTIONS}")
    sentences = sentences or ""
    if len(sentences) > MOST_LETTERS:
        raise UnreadableError(f"the descriptions have {len(sentences):,} letters, more than {MOST_LETTERS:,}")
    program = None
    if heading is not None:
        try:
            program = read_program(heading, found[heading], task)
        except InputError as error:
            raise UnreadableError(str(error)) from error
    parameters = Parameters(sentences, program, _examples(found.get(EXAMPLES, ""), shown) if task.kind == "examples" else ())
    return Parsed(Proposed(parameters, found.get(REASONING, "")), strict)


def _examples(text: str, shown: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    numbers = dict.fromkeys(int(found) for found in re.findall(r"\d{1,6}", text))
    return tuple(shown[number - 1] for number in numbers if 1 <= number <= len(shown))[:MOST_EXAMPLES]
