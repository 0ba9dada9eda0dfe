"""The log of a run of a text VAE: one line of it, and the whole read back."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lexframe.exceptions import InputError


@dataclass(frozen=True, slots=True)
class TextVAEProgress:
    """One line of the training log. Nats are a text's; measured on validation texts where `step` ends a validation interval.

    Attributes
    ----------
    step, epoch : int, float
        Optimiser steps, and passes over the texts.
    fraction : float
        Of the budget.
    kl_weight : float
        In force.
    reconstruction, kl : float
        Minus log p(x | z) and the KL of the last steps in training.
    validation : dict or None
        ``reconstruction``, ``kl``, ``bound`` (importance-weighted, minus log p(x)), ``information``, ``active`` (units), ``best``
        (whether it is the best so far); see :func:`~lexframe.training.text_vae.validation.measure`.
    warning : str
        ``collapsed`` where the latent, at full weight, tells next to nothing of a text; else empty. The KL alone would not show it: a mean
        that all texts share has its price and tells nothing.
    elapsed_seconds : float
    """

    step: int
    epoch: float
    fraction: float
    kl_weight: float
    reconstruction: float
    kl: float
    validation: dict[str, Any] | None
    warning: str
    elapsed_seconds: float


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
