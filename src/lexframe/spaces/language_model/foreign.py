"""Running code of others: whatever a model of theirs raises becomes one line, and faults of our own stay as they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import torch
from torch import nn

from lexframe.exceptions import LexframeError, ModelError

_OWN = str(Path(__file__).resolve().parents[2])


@contextmanager
def of_others(model: nn.Module, step: str, *, advice: str = "Use a model of another family.") -> Iterator[None]:
    """Within, a model runs; what its code raises is said in one line, with the model, the step and the cause.

    Errors of lexframe pass through, and so do those that come from code of lexframe, such as a hook that the model calls: they are
    faults of ours, which need their traceback. Memory that is used up passes too, as batches are then made smaller.

    Parameters
    ----------
    model : nn.Module
        Named in the message.
    step : str
        What is tried, after "cannot".
    advice : str
        What to do.

    Raises
    ------
    ModelError
        Its cause is the error itself.
    """
    try:
        yield
    except (LexframeError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if not _left_for_good(error.__traceback__):
            raise
        line = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
        precision = next((each.dtype for each in model.parameters()), torch.float32)
        if precision in (torch.bfloat16, torch.float16):  # not all that a model does is there in half precision
            advice = f"It runs in {str(precision).removeprefix('torch.')}: open it with dtype float32. {advice}"
        raise ModelError(f"{type(model).__name__} cannot {step} ({type(error).__name__}: {line}). {advice}") from error


def _left_for_good(trace: TracebackType | None) -> bool:
    """Whether what was raised comes from code of others that was called here and did not call back."""
    places = []
    while trace is not None:
        places.append(trace.tb_frame.f_code.co_filename.startswith(_OWN))
        trace = trace.tb_next
    left = places.index(False) if False in places else len(places)
    return left < len(places) and not any(places[left:])
