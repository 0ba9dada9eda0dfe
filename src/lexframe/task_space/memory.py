"""How much memory the gradients of a model take, said before the work begins."""

from pathlib import Path

from lexframe.exceptions import InputError

GIB = 2**30
_MEMINFO = Path("/proc/meminfo")


def free_gib() -> float | None:
    """Memory that programs can still take, in GiB; None where the system does not say."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) / 2**20
    except (OSError, KeyError, ValueError):
        return None


def needed_gib(n_parameters: int, *, n_processes: int, n_vocab: int, n_tokens: int, n_kept: int, with_corpus: bool) -> float:
    """An upper estimate of the memory for gradients, in GiB.

    Every process holds a copy of the weights, signs of the sketch (a byte a parameter), half as much again for what a library keeps, and of
    one pass three tables of logits; gradients on ordinary text are twice the weights and shared.

    Parameters
    ----------
    n_parameters : int
    n_processes : int
    n_vocab : int
    n_tokens : int
        Of one pass.
    n_kept : int
        Numbers that are kept of all gradients.
    with_corpus : bool
        Whether gradients on ordinary text are used.
    """
    of_process = n_parameters * (1.5 * 4 + 1) + 3 * 4 * n_tokens * n_vocab
    shared = n_parameters * 4 * (1 + 2 * with_corpus) + 2 * 4 * n_kept
    return (n_processes * of_process + shared) / GIB


def check_memory(needed: float, most: float | None, *, n_processes: int) -> None:
    """Stop where more memory would be needed than there is.

    Parameters
    ----------
    needed : float
        In GiB.
    most : float or None
        What may be used, in GiB; None is what is free now.
    n_processes : int
        For the advice.

    Raises
    ------
    InputError
    """
    allowed = free_gib() if most is None else most
    if allowed is not None and needed > allowed:
        less = f"fewer processes than {n_processes}, " if n_processes > 1 else ""
        raise InputError(
            f"Gradients of this model need about {needed:.1f} GiB, and {allowed:.1f} GiB {'are free' if most is None else 'are allowed'}. "
            f"Use {less}a smaller model, or a machine with more memory.",
            parameter="max_gib",
        )
