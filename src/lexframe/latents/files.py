"""Files of a store: one writer at a time, data files that no version holds yet, and what to say when writing fails."""

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from lexframe.exceptions import InputError
from lexframe.files import advice_on_writing, json_text

LOCK_NAME = ".writer.lock"
FITTED_SPACE = "fitted-space"
"""Folder in which a store keeps the space that its points come from, where that was fitted on its texts."""
UNFINISHED = (LOCK_NAME, "_transactions", "data", FITTED_SPACE)
"""What a run leaves that was killed before its store had a first version."""


def write_fragment(path: str, rows: pa.Table, schema: pa.Schema, *, storage_options: Mapping[str, str] | None = None) -> str:
    """Write rows as data files that no version holds yet, in any process; returns what a commit needs, as JSON.

    Raises
    ------
    InputError
        If the files cannot be written.
    """
    from lance.fragment import write_fragments

    if rows.schema != schema:
        raise InputError(f"The rows have the columns {rows.schema.names}; expected {schema.names}, each of its own type.")
    try:
        (fragment,) = write_fragments(rows, path, schema=schema, mode="append", storage_options=dict(storage_options or {}) or None)
    except OSError as error:
        raise cannot_write(path, error) from error
    return json_text(fragment.to_json())


def cannot_write(path: str | Path, error: Exception) -> InputError:
    """What to tell a person whose store cannot be written."""
    reason = getattr(error, "strerror", None) or first_line(error)
    return InputError(f"{path} cannot be written: {reason}. What was there before is kept. {advice_on_writing(reason)}")


@contextmanager
def held_for_writing(path: str | Path) -> Iterator[None]:
    """Hold a local store for writing; the system lets go of it however the process ends.

    Where it was made for nothing, because what was to be written was refused, the lock goes, and the folder if it is empty.
    """
    if is_remote(path):
        yield
        return
    folder = Path(path)
    was_there, was_held = folder.exists(), (folder / LOCK_NAME).exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            was_held = True  # by that process, whose lock it is
            raise InputError(f"{path} is being written by another process. Wait until it is done, then try again.") from error
        yield
    except BaseException:
        if not was_held:
            (folder / LOCK_NAME).unlink(missing_ok=True)
            if not was_there and is_empty(folder):
                folder.rmdir()
        raise
    finally:
        os.close(handle)


def is_empty(path: Path) -> bool:
    """Whether `path` is a folder that holds nothing."""
    return path.is_dir() and not any(path.iterdir())


def is_remote(path: str | Path) -> bool:
    """Whether `path` is the address of an object store, where nothing can be locked."""
    return "://" in str(path)


def first_line(error: BaseException) -> str:
    """What an error of Lance says, in one line."""
    lines = re.sub(r",? ?/\S+\.rs:\d+:\d+", "", str(error)).strip().splitlines()  # places in Lance's source help nobody here
    return lines[0][:240] if lines else type(error).__name__
