"""The output head of a language model: everything between a state and the logits, checked against the model itself."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lexframe.exceptions import ModelError
from lexframe.spaces.language_model.layers import base_model, evaluation_mode, find_blocks, text_config

_FINAL_NORM_NAMES = ("norm", "ln_f", "final_norm", "final_layer_norm", "final_layernorm")
_ROWS = 16_384
"""Of a head in half precision that are widened at a time."""
_READ_HERE = {"final_logit_softcapping", "logit_scale", "logits_scaling"}
_HARMLESS = re.compile(
    r"^(attn|attention|router|query|z_loss)|_loss$|_coef$|^output_(hidden|router|attentions)|^return_|logits_to_keep|num_logits"
)
_TOUCHES_LOGITS = re.compile(r"logit|lm_head|head_multiplier|output_multiplier|mup_width|soft_?cap")
_NEUTRAL = (None, False, 0, 1, 1.0, 0.0, "")


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
        """From a head in float32."""
        weight = head.weight.detach()
        mean_row = weight.mean(dim=0)
        return cls(head, mean_row, (weight - mean_row).bfloat16())

    def logits(self, head_input: Tensor) -> Tensor:
        """Logits of what :meth:`OutputHead.head_input` gives, in float32."""
        products = nn.functional.linear(head_input.bfloat16(), self.rows).float()
        return self.head.finish(products.add_((head_input @ self.mean_row).unsqueeze(-1)))

    def pullback(self, head_input: Tensor, gradient: Tensor) -> Tensor:
        """See :meth:`OutputHead.pullback`."""
        rows = self.rows[: gradient.shape[1]]
        if self.head.soft_cap:
            gradient = gradient * (1 - (self.logits(head_input)[:, : gradient.shape[1]] / self.head.soft_cap) ** 2)
        common = gradient.sum(dim=1, keepdim=True) * self.mean_row
        return self.head.scale * ((gradient.bfloat16() @ rows).float() + common)


def output_head(model: Any) -> OutputHead:
    """Find the head of `model`, and check on a short input that it gives the model's own logits.

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
        If the model has no output embedding, if its configuration has an attribute on the logits that is not known
        here, or if the logits differ from the model's.
    """
    embeddings = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if embeddings is None or getattr(embeddings, "weight", None) is None:
        raise ModelError(
            f"{type(model).__name__} has no output embedding, so it has no vocabulary to read points in. Use a causal or masked LM."
        )
    refuse_unknown_logit_attributes(model)
    config = text_config(model)
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    head = OutputHead(
        final_norm=_final_norm(model),
        transform=_transform(model),
        weight=embeddings.weight,
        bias=getattr(embeddings, "bias", None),
        scale=scale,
        soft_cap=getattr(config, "final_logit_softcapping", None),
    )
    _check(model, head)
    return head


def refuse_unknown_logit_attributes(model: nn.Module) -> None:
    """Stop at configuration attributes that speak of logits and are not known here, instead of ignoring them."""
    for name, value in text_config(model).to_dict().items():
        if name in _READ_HERE or _HARMLESS.search(name) or not _TOUCHES_LOGITS.search(name):
            continue
        if value not in _NEUTRAL:
            raise ModelError(
                f"{type(model).__name__} has {name}={value!r} in its configuration, which may change its logits in a way that is not known "
                "here. A wrong number is worse than a stop; please report the model."
            )


def _final_norm(model: nn.Module) -> Callable[[Tensor], Tensor]:
    base, blocks = base_model(model), find_blocks(model)
    for holder in (base, *base.children()):
        if blocks not in list(holder.children()):
            continue
        norm = next((getattr(holder, name) for name in _FINAL_NORM_NAMES if isinstance(getattr(holder, name, None), nn.Module)), None)
        projection = getattr(holder, "project_out", None)  # OPT-350m narrows its states before the head
        steps = [module for module in (norm, projection) if module is not None]
        return nn.Sequential(*steps) if steps else nn.Identity()
    return nn.Identity()


def _transform(model: Any) -> Callable[[Tensor], Tensor]:
    predictions = getattr(getattr(model, "cls", None), "predictions", None)
    if predictions is not None and hasattr(predictions, "transform"):  # BERT
        return predictions.transform
    head = getattr(model, "lm_head", None)
    if head is not None and hasattr(head, "dense") and hasattr(head, "layer_norm"):  # RoBERTa
        return lambda states: head.layer_norm(nn.functional.gelu(head.dense(states)))
    if isinstance(getattr(model, "head", None), nn.Module) and hasattr(model, "decoder"):  # ModernBERT
        return model.head
    return nn.Identity()


def _check(model: nn.Module, head: OutputHead) -> None:
    """Compare with the model on a few tokens; cheap, and it covers what no list of names can."""
    device = head.weight.device
    ids = torch.arange(1, 7, device=device).unsqueeze(0) % head.weight.shape[0]
    raw: list[Any] = []
    hook = find_blocks(model)[-1].register_forward_hook(lambda module, args, output: raw.append(output))
    try:
        with evaluation_mode(model):
            expected = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            output = raw[0] if isinstance(raw[0], Tensor) else raw[0][0]
            found = head.logits(head.head_input(output, inner=True))
    finally:
        hook.remove()
    tolerance = 1e-4 if expected.dtype == torch.float32 else 5e-2
    scale = expected.float().abs().max().clamp(min=1.0)
    if found.shape != expected.shape or ((found - expected).float().abs().max() / scale) > tolerance:
        raise ModelError(
            f"The head of {type(model).__name__} is not understood: logits worked out from its states differ from its own. "
            "Points can be encoded, but the vocabulary of this model cannot be read; please report the model."
        )
