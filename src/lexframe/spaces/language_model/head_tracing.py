"""The steps between two tensors of a forward pass, found by what modules were given and what they gave.

What stands between the last block and the last state (a final norm), and between the last state and the unembedding (the transform
of a masked model), is a chain of modules with an activation or a factor between them. It has another name in every family.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lexframe.spaces.language_model.anatomy import first_tensor

Step = Callable[[Tensor], Tensor]
_MOST_STEPS = 8
_SAME = 2e-5


def _tanh_gelu(states: Tensor) -> Tensor:
    return nn.functional.gelu(states, approximate="tanh")


def _squared_relu(states: Tensor) -> Tensor:
    return nn.functional.relu(states).square()


_ACTIVATIONS: tuple[Step, ...] = (nn.functional.gelu, _tanh_gelu, nn.functional.relu, nn.functional.silu, torch.tanh, _squared_relu)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A module that ran, the tensor that it was given first, and the one that it gave first."""

    module: nn.Module
    entered: Tensor
    left: Tensor


@dataclass(frozen=True, slots=True)
class Trace:
    """Calls of a pass, in the order in which they ended."""

    calls: list[Call] = field(default_factory=list)

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Within, calls of every module of `model` are noted."""

        def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            entered, left = first_tensor(list(args) or list(kwargs.values())[:1]), first_tensor(output)
            if entered is not None and left is not None:
                self.calls.append(Call(module, entered, left))

        hooks = [module.register_forward_hook(note, with_kwargs=True) for module in model.modules()]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def chain(self, start: Tensor, end: Tensor) -> list[Step] | None:
        """Steps from `start` to `end`, both of shape (1, n_tokens, _); None where there is no such chain.

        Outer modules are tried before those within them.
        """
        return self._chain(start, end, _MOST_STEPS, {})

    def _chain(self, start: Tensor, end: Tensor, most: int, seen: dict[int, None]) -> list[Step] | None:
        direct = link(start, end)
        if direct is not None:
            return direct
        if most == 0 or id(end) in seen:
            return None
        seen[id(end)] = None
        for call in reversed(self.calls):  # what ended last is outermost
            if call.left.shape != end.shape or call.entered.shape[:-1] != end.shape[:-1] or not _takes_states_alone(call.module):
                continue
            after = link(call.left, end)
            if after is None or call.entered is end or _similar(call.entered, end):
                continue
            before = self._chain(start, call.entered, most - 1, seen)
            if before is not None:
                return [*before, call.module, *after]
        return None


def link(one: Tensor, other: Tensor) -> list[Step] | None:
    """Nothing, an activation or a factor that leads from one tensor to the other; None where none does."""
    if one.shape != other.shape:
        return None
    if one is other or _similar(one, other):
        return []
    for activation in _ACTIVATIONS:
        if _similar(activation(one), other):
            return [activation]
    factor = float((one.double() * other.double()).sum() / one.double().square().sum().clamp(min=1e-30))
    if factor and _similar(one * factor, other):
        return [Times(factor)]
    return None


def _similar(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    tolerance = _SAME if one.dtype == torch.float32 else 1e-2
    return bool((one.float() - other.float()).abs().max() <= tolerance * other.float().abs().max().clamp(min=1e-9))


def _takes_states_alone(module: nn.Module) -> bool:
    """Whether a module can be called again on states of other texts."""
    if isinstance(module, nn.Embedding | nn.ModuleList):
        return False
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [each for each in parameters if each.default is each.empty and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return len(needed) <= 1


@dataclass(frozen=True, slots=True)
class Times:
    """A factor as a step. Steps are no closures: they go to worker processes with the model."""

    factor: float

    def __call__(self, states: Tensor) -> Tensor:
        """The states, each times the factor."""
        return states * self.factor


@dataclass(frozen=True, slots=True)
class InTurn:
    """All steps, one after another."""

    steps: tuple[Step, ...]

    def __call__(self, states: Tensor) -> Tensor:
        """What the last step gives."""
        for step in self.steps:
            states = step(states)
        return states
