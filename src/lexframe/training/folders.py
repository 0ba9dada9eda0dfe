"""Writing folders of files, such as a model, so that no file of them is ever half written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from lexframe.exceptions import InputError


@contextmanager
def replacing_files(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder beside `folder`; on success its files move into `folder`, on failure they are removed.

    Parameters
    ----------
    folder : str or PathLike
        The final folder, made when missing. Files of other names in it stay.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    InputError
        If the files cannot be written (no permission, no space, a file in place of the folder).
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as name:
            yield Path(name)
            for file in sorted(Path(name).iterdir()):
                with file.open("rb") as written:
                    os.fsync(written.fileno())
                file.replace(target / file.name)
    except (OSError, SafetensorError) as error:  # a full disk is a SafetensorError where weights are written
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{target} cannot be written: {reason}. What was there before is kept; free space or name another folder."
        ) from error
