"""The log of a run of a text VAE, read back."""

import json
from dataclasses import fields
from pathlib import Path

from lexframe.exceptions import InputError
from lexframe.training.text_vae.run import TextVAEProgress

_FIELDS = {field.name for field in fields(TextVAEProgress)}


def read_training_log(run: str | Path) -> tuple[TextVAEProgress, ...]:
    """The course of a run, in rising order of steps.

    A run that was killed goes on from its last checkpoint and logs the steps after it once more: those of the later part count.

    Parameters
    ----------
    run : str or Path
        Folder of the run, or its ``log.jsonl``.

    Returns
    -------
    tuple of TextVAEProgress

    Raises
    ------
    InputError
        If there is no log, or a line is none; a last line that was cut off while it was written is left out.
    """
    path = Path(run) / "log.jsonl" if Path(run).is_dir() else Path(run)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read as a log ({reason}). Name the folder of a run of 'lexframe vae train'.") from error
    found: list[TextVAEProgress] = []
    for number, line in enumerate(lines, start=1):
        try:
            document = json.loads(line)
            progress = TextVAEProgress(**{name: document[name] for name in _FIELDS})
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines) and found:
                break
            raise InputError(f"{path}:{number} is no line of a training log of a text VAE ({type(error).__name__}: {error}).") from error
        while found and found[-1].step >= progress.step:
            found.pop()
        found.append(progress)
    if not found:
        raise InputError(f"{path} is empty: the run has not logged a step yet.")
    return tuple(found)
