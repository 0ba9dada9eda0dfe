"""How the verbs speak: results on standard output, progress and notes on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lexframe.text_forms import printable


def progress(label: str) -> Any:
    """A wrapper for iterations that draws a bar on standard error when a person is watching."""

    def wrap(items: Iterable[Any]) -> Iterable[Any]:
        from tqdm import tqdm

        return tqdm(items, desc=label, leave=False, disable=not sys.stderr.isatty(), dynamic_ncols=True)

    return wrap


@contextmanager
def throughput(n_texts: int | None) -> Iterator[Callable[[Any], None]]:
    """A bar on standard error with texts and tokens a second and the time left, fed with an EncodingResult a block."""
    from tqdm import tqdm

    with tqdm(total=n_texts, unit=" texts", leave=False, disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def watch(done: Any) -> None:
            bar.set_postfix_str(f"{done.tokens_per_second:,.0f} tokens/s", refresh=False)
            bar.update(done.n_encoded + done.n_kept - bar.n)

        yield watch


READ_TOGETHER = {
    "those of one length": "only texts of one length go through it together",
    "none": "each text goes through it alone",
}
"""What is said of models whose points depend on what stands beside a text."""


def note(text: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{text}\n")


def document(content: Any) -> None:
    """One JSON document on standard output."""
    from lexframe.files import json_text  # arrays come with it, and a page of help needs none

    sys.stdout.write(json_text(content, indent=2) + "\n")


def one_line(text: str) -> str:
    """A text that a model wrote on one line, with nothing in it that could steer a terminal."""
    return printable(" ".join(text.split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns on standard output; the first is flush left, the others flush right."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for number, row in enumerate(cells):
        line = "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        sys.stdout.write(f"  {line.rstrip()}\n")
        if number == 0:
            sys.stdout.write(f"  {'-' * len(line.rstrip())}\n")


def quiet_libraries() -> None:
    """Switch off the progress bars and notes of the libraries underneath, in this process."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
