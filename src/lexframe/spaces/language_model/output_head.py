"""The output head of a language model: everything between a state and the logits, checked against the model itself."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lexframe.exceptions import ModelError
from lexframe.spaces.language_model.anatomy import anatomy, evaluation_mode, first_tensor, probe_ids, run, text_config, unwrapped
from lexframe.spaces.language_model.head_tracing import InTurn, Step, Trace

_ROWS = 16_384
"""Of a head in half precision that are widened at a time."""
_CAPS = re.compile(r"soft_?cap|logit_?cap")
_TOUCHES_LOGITS = re.compile(r"logit_|logits_|lm_head|head_multiplier|output_multiplier|mup_width|soft_?cap")


@dataclass(frozen=True, slots=True)
class OutputHead:
    """How states become logits: ``soft_cap(scale * (U transform(final_norm(h)) + bias))``.

    Attributes
    ----------
    final_norm : callable
        From the output of the last block to the last state; identity for post-norm models.
    transform : callable
        From the last state to what the unembedding multiplies; identity except in masked LMs.
    weight : Tensor of shape (n_rows, n_dims)
        U with its padded rows.
    bias : Tensor of shape (n_rows,) or None
    scale : float
        Factor on the logits.
    soft_cap : float or None
        c in ``c tanh(logit / c)``.
    """

    final_norm: Callable[[Tensor], Tensor]
    transform: Callable[[Tensor], Tensor]
    weight: Tensor
    bias: Tensor | None
    scale: float
    soft_cap: float | None

    def head_input(self, states: Tensor, *, inner: bool) -> Tensor:
        """What the unembedding multiplies; `inner` states have not passed the final norm."""
        return self.transform(self.final_norm(states) if inner else states)

    def logits(self, head_input: Tensor) -> Tensor:
        """Logits of what :meth:`head_input` gives."""
        if self.weight.dtype == torch.float32:
            return self.finish(head_input @ self.weight.mT)
        # Logits that share a large part and differ by little lose their order in two or three digits, so sums are kept in float32.
        states = head_input.float()
        return self.finish(torch.cat([states @ rows.float().mT for rows in self.weight.split(_ROWS)], dim=-1))

    def finish(self, products: Tensor) -> Tensor:
        """Logits of the products with the rows of U."""
        if self.bias is not None:
            products = products + self.bias
        if self.scale != 1:
            products = products * self.scale
        return self.soft_cap * torch.tanh(products / self.soft_cap) if self.soft_cap else products

    def pullback(self, head_input: Tensor, gradient: Tensor) -> Tensor:
        """Gradient by `head_input` of whatever has `gradient` by the logits; rows that `gradient` lacks at the end have none."""
        rows = self.weight[: gradient.shape[1]]
        if self.soft_cap:
            gradient = gradient * (1 - (self.logits(head_input)[:, : gradient.shape[1]] / self.soft_cap) ** 2)
        return self.scale * (gradient.to(rows.dtype) @ rows).float()


@dataclass(frozen=True, slots=True)
class CoarseHead:
    """The same head with a product in bfloat16: several times as fast on many machines, logits to three digits.

    The mean row of U adds the same to every logit of a state, often much more than they differ. It is multiplied apart in
    float32, so that the three digits are those of the differences.
    """

    head: OutputHead
    mean_row: Tensor
    rows: Tensor

    @classmethod
    def of(cls, head: OutputHead) -> "CoarseHead":
        """From a head in any precision."""
        weight = head.weight.detach().float()
        mean_row = weight.mean(dim=0)
        return cls(head, mean_row, (weight - mean_row).bfloat16())

    def logits(self, head_input: Tensor) -> Tensor:
        """Logits of what :meth:`OutputHead.head_input` gives, in float32."""
        products = nn.functional.linear(head_input.bfloat16(), self.rows).float()
        return self.head.finish(products.add_((head_input.float() @ self.mean_row).unsqueeze(-1)))

    def pullback(self, head_input: Tensor, gradient: Tensor) -> Tensor:
        """See :meth:`OutputHead.pullback`."""
        rows = self.rows[: gradient.shape[1]]
        if self.head.soft_cap:
            gradient = gradient * (1 - (self.logits(head_input)[:, : gradient.shape[1]] / self.head.soft_cap) ** 2)
        common = gradient.float().sum(dim=1, keepdim=True) * self.mean_row
        return self.head.scale * ((gradient.bfloat16() @ rows).float() + common)


def output_head(model: Any) -> OutputHead:
    """Find the head of `model` by what it computes: on a few tokens it has to give the model's own logits.

    Parameters
    ----------
    model : nn.Module
        A transformers causal or masked language model.

    Returns
    -------
    OutputHead

    Raises
    ------
    ModelError
        If the model has no output embedding, or if logits worked out from its states differ from its own.
    """
    embeddings = output_embeddings(model)
    if embeddings is None:
        raise ModelError(
            f"{type(unwrapped(model)).__name__} has no language-model head: points can be encoded, but there is no vocabulary to read them "
            "in. Use a causal or masked language model for that."
        )
    with evaluation_mode(model):
        seen = _watched(model, embeddings)
        final_norm = seen.trace.chain(seen.before, seen.last)
        transform = seen.trace.chain(seen.last, seen.entered)
        if transform is None:
            raise _not_understood(model)
        products = _product(embeddings.weight, None, InTurn(tuple(transform))(seen.last))
        bias, scale, soft_cap = _finish(model, embeddings, products, seen.logits)
    return OutputHead(
        final_norm=_no_final_norm(model) if final_norm is None else InTurn(tuple(final_norm)),
        transform=InTurn(tuple(transform)),
        weight=embeddings.weight,
        bias=bias,
        scale=scale,
        soft_cap=soft_cap,
    )


def output_embeddings(model: Any) -> Any:
    """The module whose rows are multiplied with states, or None."""
    try:
        found = unwrapped(model).get_output_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(getattr(found, "weight", None), Tensor) else None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A pass on a few tokens: what the last block gave, the last state, what entered the unembedding, the logits."""

    trace: Trace
    before: Tensor
    last: Tensor
    entered: Tensor
    logits: Tensor


def _watched(model: nn.Module, embeddings: nn.Module) -> _Seen:
    inner, parts = unwrapped(model), anatomy(model)
    trace, entered, last = Trace(), [], []
    before: list[Tensor | None] = []
    hooks = [
        embeddings.register_forward_pre_hook(lambda module, args: entered.append(args[0])),
        # The language model of OPT calls the decoder within its body.
        *(
            module.register_forward_hook(lambda module, args, output: last.append(first_tensor(output)))
            for module in parts.body.modules()
            if module is parts.body or "input_ids" in inspect.signature(module.forward).parameters
        ),
    ]
    if parts.blocks is not None:
        hooks.append(parts.blocks[-1].register_forward_hook(lambda module, args, output: before.append(first_tensor(output))))
    try:
        with trace.of(inner):
            logits = run(inner, probe_ids(inner, 6)).logits
    finally:
        for hook in hooks:
            hook.remove()
    if not entered or not last or last[-1] is None or not isinstance(logits, Tensor) or entered[-1].shape[:-1] != last[-1].shape[:-1]:
        raise _not_understood(model)
    block: Tensor | None = before[-1] if before else None
    return _Seen(trace, last[-1] if block is None else block, last[-1], entered[-1], logits)


def _product(weight: Tensor, bias: Tensor | None, states: Tensor) -> Tensor:
    found = states.float() @ weight.float().mT
    return found if bias is None else found + bias.float()


def _finish(model: Any, embeddings: Any, products: Tensor, logits: Tensor) -> tuple[Tensor | None, float, float | None]:
    """Bias, factor and soft cap that make the model's logits of the products: those among what the model has that come nearest."""
    wanted = logits.float()
    if products.shape != wanted.shape:
        raise _not_understood(model)
    tolerance = 1e-4 if logits.dtype == torch.float32 else 5e-2
    best: tuple[float, tuple[Tensor | None, float, float | None]] | None = None
    for bias in _biases(model, embeddings):
        shifted = products if bias is None else products + bias.float()
        for soft_cap in _soft_caps(model):
            uncapped = wanted if soft_cap is None else soft_cap * torch.atanh((wanted / soft_cap).clamp(-1 + 1e-7, 1 - 1e-7))
            for scale in _scales(model, shifted, uncapped):
                found = shifted * scale
                found = found if soft_cap is None else soft_cap * torch.tanh(found / soft_cap)
                error = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))
                if best is None or error < 0.5 * best[0] - 1e-7:  # what comes first is simpler, or known by name
                    best = (error, (bias, scale, soft_cap))
    if best is None or not best[0] <= tolerance:
        raise _not_understood(model)
    return best[1]


def _biases(model: Any, embeddings: Any) -> list[Tensor | None]:
    own = getattr(embeddings, "bias", None)
    n_rows = embeddings.weight.shape[0]
    named = [(name, tensor) for name, tensor in (*unwrapped(model).named_parameters(), *unwrapped(model).named_buffers()) if "bias" in name]
    others = [tensor for _, tensor in named if tensor.numel() == n_rows and tensor is not own and bool(tensor.any())]
    return [own, *([] if own is None else [None]), *(tensor.flatten() for tensor in others)]


def _soft_caps(model: Any) -> list[float | None]:
    found = [value for name, value in text_config(model).to_dict().items() if _CAPS.search(name) and isinstance(value, int | float)]
    return [*(float(value) for value in found if value and not isinstance(value, bool)), None]


def _scales(model: Any, products: Tensor, wanted: Tensor) -> list[float]:
    """One, numbers of the configuration, and the factor as measured."""
    measured = float((products.double() * wanted.double()).sum() / products.double().square().sum().clamp(min=1e-30))
    said: list[float] = []
    numbers = [
        float(value)
        for value in text_config(model).to_dict().values()
        if isinstance(value, int | float) and not isinstance(value, bool) and value
    ]
    for value in numbers:
        said += [scale for scale in (value, 1 / value) if abs(scale / measured - 1) < 1e-4] if measured else []
    return list(dict.fromkeys([1.0, *said, measured]))


def _no_final_norm(model: nn.Module) -> Step:
    name = type(unwrapped(model)).__name__

    def refuse(states: Tensor) -> Tensor:
        raise ModelError(
            f"What {name} does between its last block and its last state is not a chain of modules, so states of inner layers cannot be "
            "read through its head. The last state can: layer -1."
        )

    return refuse


def _not_understood(model: nn.Module) -> ModelError:
    named = [
        f"{name}={value!r}"
        for name, value in text_config(model).to_dict().items()
        if _TOUCHES_LOGITS.search(name) and value not in (None, False, 0, 1, 1.0, 0.0, "")
    ]
    about = f" (its configuration speaks of {', '.join(named)})" if named else ""
    return ModelError(
        f"The head of {type(unwrapped(model)).__name__} is not understood{about}: logits worked out from its states differ from its own. "
        "Points can be encoded, but the vocabulary of this model cannot be read; please report the model."
    )
