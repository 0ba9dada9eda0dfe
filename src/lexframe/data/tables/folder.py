"""Rows of folders: a sub-folder a category with a file a text, a file a text, or tables that are parts of one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lexframe.data.tables.encodings import characters, writing_of
from lexframe.data.tables.records import Form, Records
from lexframe.data.tables.sources import PACKINGS, Source
from lexframe.exceptions import DataError

TEXT_SUFFIXES = (".txt", ".text", ".md", "")


def parts_of(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The tables of a folder that are parts of one: their names differ in numbers alone; empty where the folder holds no table.

    Raises
    ------
    DataError
        If it holds several tables that are not parts of one.
    """
    tables = [path for path in visible(folder) if path.is_file() and _suffix(path) in suffixes and _suffix(path) not in TEXT_SUFFIXES]
    if len({re.sub(r"\d+", "0", path.name) for path in tables}) > 1:
        listed = ", ".join(path.name for path in tables[:6])
        raise DataError(f"{folder} is a folder of {len(tables)} tables ({listed}). Name the one that is meant.")
    return tables


def read_folder(folder: Path, text: str, label: str | None, form: Form) -> Records:
    """Texts of a folder, a file each; sub-folders are the categories, as scikit-learn's ``load_files`` reads them.

    Raises
    ------
    DataError
        If the folder is none of these, or a sub-folder holds folders or tables.
    """
    inside = visible(folder)
    classes, files = [path for path in inside if path.is_dir()], [path for path in inside if path.is_file()]
    notes: list[str] = []
    if classes:
        if files:
            notes.append(f"holds {len(files):,} {'file' if len(files) == 1 else 'files'} beside its sub-folders, which were not read")
        listed = [(path, each.name) for each in classes for path in _texts(each)]
    elif label is not None:
        raise DataError(
            f"{folder} is a folder without sub-folders, so its texts have no labels. Put the texts of each category into a folder of its "
            "name, or name a file."
        )
    else:
        listed = [(path, "") for path in _texts(folder)]
    fields = {path: {text: "", **({label: name} if label is not None else {})} for path, name in listed}
    return Records(str(folder), "file", _rows(fields, text, form, notes), (text, *([label] if label is not None else [])), notes)


def visible(folder: Path) -> list[Path]:
    """What a folder holds, by name, numbers by their size; hidden files are left out."""
    try:
        inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror or error}.") from error
    return sorted(
        inside, key=lambda path: [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", path.name)]
    )


def _texts(folder: Path) -> list[Path]:
    files = visible(folder)
    odd = next((path for path in files if path.is_dir() or _suffix(path) not in TEXT_SUFFIXES), None)
    if odd is not None:
        what = "a folder" if odd.is_dir() else "no .txt file"
        raise DataError(
            f"{odd} is {what}; expected a sub-folder for each category, with a .txt file for each text. Name the folder above such, "
            "or a file."
        )
    return files


def _suffix(path: Path) -> str:
    name = path.name.lower()
    packing = next((each for each in PACKINGS if name.endswith(each)), "")
    return Path(name.removesuffix(packing)).suffix


def _rows(fields: dict[Path, dict[str, Any]], text: str, form: Form, notes: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    odd: list[str] = []
    for path, row in fields.items():
        source = Source.of(path)
        writing = writing_of(source, form.encoding)
        if writing.notes:
            odd.append(f"{path.name} {writing.notes[0]}")
        yield str(path), row | {text: "".join(characters(source, writing)).rstrip("\r\n")}
    if odd:
        notes.append(f"holds {len(odd):,} {'file' if len(odd) == 1 else 'files'} in another encoding; the first: {odd[0]}")
