"""Running code of others: whatever a model of theirs raises becomes one line, and faults of our own stay as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from lexframe.exceptions import LexframeError, ModelError

_INSTALLED, _RECORDERS = "_output_capturing_hooks_installed", "transformers.utils.output_capturing"
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


def does_nothing(hook: Callable[..., Any]) -> bool:
    """Whether a hook is one that transformers left in a model that was asked for its states once: it records when asked, and else nothing.

    Parameters
    ----------
    hook : callable
    """
    return getattr(hook, "__module__", "") == _RECORDERS


@contextmanager
def no_hook_left(model: nn.Module | None) -> Iterator[None]:
    """Within, a model may be asked for its own states; afterwards it has the hooks that it had before.

    transformers leaves hooks in a model that was asked for its states once. They do nothing, but the model is not the caller's as it
    was, and cannot be sent to another process.

    Parameters
    ----------
    model : nn.Module or None
        None where nothing is asked of it.
    """
    before = {} if model is None else {each: (set(each._forward_hooks), getattr(each, _INSTALLED, False)) for each in model.modules()}
    try:
        yield
    finally:
        for module, (kept, installed) in before.items():
            for key in [key for key in module._forward_hooks if key not in kept]:
                for hooks in (module._forward_hooks, module._forward_hooks_with_kwargs, module._forward_hooks_always_called):
                    hooks.pop(key, None)
            if getattr(module, _INSTALLED, False) and not installed:
                setattr(module, _INSTALLED, False)


def _left_for_good(trace: TracebackType | None) -> bool:
    """Whether what was raised comes from code of others that was called here and did not call back."""
    places = []
    while trace is not None:
        places.append(trace.tb_frame.f_code.co_filename.startswith(_OWN))
        trace = trace.tb_next
    left = places.index(False) if False in places else len(places)
    return left < len(places) and not any(places[left:])
