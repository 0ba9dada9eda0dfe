"""What a sentence encoder does with the last states of its transformer: pooling, dense layers, norms, unit length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lexframe.exceptions import InputError, ModelError
from lexframe.provenance import array_hash
from lexframe.spaces.pooling import POOLINGS, Pooling
from lexframe.spaces.sentence_recipe import EncoderRecipe, ModuleRecipe, pooling_of

TOKENS, POINT = "token_embeddings", "sentence_embedding"
Features = dict[str, Tensor]
"""States of all tokens and, after pooling, the point of each text."""


def pool_max(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """Largest value of each dimension over the real tokens; zero where there is none."""
    largest = states.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).max(dim=1).values
    return torch.where(mask.any(dim=1, keepdim=True), largest, torch.zeros_like(largest))


def pool_mean_sqrt_length(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """Sum over the real tokens, divided by the square root of their number."""
    weights = mask.to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1).sqrt()


def pool_weighted_mean(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """Mean over the real tokens, each with the weight of its position, counted from 1."""
    positions = torch.arange(1, mask.shape[1] + 1, device=mask.device, dtype=states.dtype)
    weights = (mask.to(states.dtype) * positions).unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def pool_last_or_nothing(states: Tensor, mask: Tensor, span: Tensor) -> Tensor:
    """State of the last real token; zero where there is none, because all of a text is its prompt."""
    return POOLINGS["last"](states, mask, span) * mask.any(dim=1, keepdim=True).to(states.dtype)


ENCODER_POOLINGS: dict[str, Pooling] = {
    "mean": POOLINGS["mean"],
    "first": POOLINGS["first"],
    "last": pool_last_or_nothing,
    "span": POOLINGS["span"],
    "max": pool_max,
    "mean-sqrt-length": pool_mean_sqrt_length,
    "weighted-mean": pool_weighted_mean,
}


class PoolingStep(nn.Module):
    """One or several poolings, side by side.

    Parameters
    ----------
    name : str
        Such as ``mean`` or ``first+mean``.
    """

    def __init__(self, name: str):
        super().__init__()
        self.names = name.split("+")
        unknown = [each for each in self.names if each not in ENCODER_POOLINGS]
        if unknown:
            raise InputError(
                f"pooling is {name!r}; expected one of {', '.join(ENCODER_POOLINGS)}, or several with + between them.", parameter="pooling"
            )

    def forward(self, features: Features, mask: Tensor, span: Tensor) -> Features:
        """Adds the points."""
        states = features[TOKENS]
        return features | {POINT: torch.cat([ENCODER_POOLINGS[name](states, mask, span) for name in self.names], dim=-1)}


class DenseStep(nn.Module):
    """A linear map and an activation, with the input added where the folder says so.

    Parameters
    ----------
    module : ModuleRecipe
    folder : str
        Of the model.
    """

    def __init__(self, module: ModuleRecipe, folder: str):
        super().__init__()
        settings = module.settings
        n_in, n_out = int(settings["in_features"]), int(settings["out_features"])
        self.linear = nn.Linear(n_in, n_out, bias=bool(settings.get("bias", True)))
        self.activation = activation(settings.get("activation_function", "torch.nn.modules.activation.Tanh"), folder)
        self.residual: nn.Module | None = None
        if settings.get("use_residual"):
            self.residual = nn.Identity() if n_in == n_out else nn.Linear(n_in, n_out, bias=False)
        self.source, self.target = _names(settings, folder)
        _load(self, Path(folder, module.path))

    def extra_repr(self) -> str:
        """What it reads and writes."""
        return f"{self.source} -> {self.target}"

    def forward(self, features: Features, mask: Tensor, span: Tensor) -> Features:
        """Changes states or points."""
        given = features[self.source]
        found = self.activation(self.linear(given))
        return features | {self.target: found if self.residual is None else found + self.residual(given)}


class LayerNormStep(nn.Module):
    """Layer normalisation of the points.

    Parameters
    ----------
    module : ModuleRecipe
    folder : str
        Of the model.
    """

    def __init__(self, module: ModuleRecipe, folder: str):
        super().__init__()
        self.norm = nn.LayerNorm(int(module.settings["dimension"]))
        _load(self, Path(folder, module.path))

    def forward(self, features: Features, mask: Tensor, span: Tensor) -> Features:
        """Changes points."""
        return features | {POINT: self.norm(features[POINT])}


class UnitLengthStep(nn.Module):
    """Scaling to unit length, of points as a rule.

    Parameters
    ----------
    source, target : str
        What is scaled, and where it goes.
    """

    def __init__(self, source: str = POINT, target: str = POINT):
        super().__init__()
        self.source, self.target = source, target

    def extra_repr(self) -> str:
        """What it reads and writes."""
        return f"{self.source} -> {self.target}"

    def forward(self, features: Features, mask: Tensor, span: Tensor) -> Features:
        """Changes points or states."""
        return features | {self.target: nn.functional.normalize(features[self.source], dim=-1)}


class EncoderSteps(nn.Module):
    """All that follows the transformer, in order.

    Parameters
    ----------
    steps : sequence of nn.Module
        One of them a :class:`PoolingStep`.
    includes_prompt : bool
        Whether the tokens of the prompt are pooled too.
    """

    def __init__(self, steps: Sequence[nn.Module], *, includes_prompt: bool = True):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.includes_prompt = includes_prompt

    @classmethod
    def of(cls, recipe: EncoderRecipe, folder: str) -> "EncoderSteps":
        """What a folder asks for; mean pooling where it asks for nothing.

        Parameters
        ----------
        recipe : EncoderRecipe
        folder : str
            Where the weights of its modules are.

        Raises
        ------
        ModelError
            If weights are missing, or a setting is not understood.
        """
        steps: list[nn.Module] = []
        includes_prompt = True
        for module in recipe.modules:
            if module.kind == "Pooling":
                steps.append(PoolingStep(pooling_of(module, folder)))
                includes_prompt = bool(module.settings.get("include_prompt", True))
            elif module.kind == "Normalize":
                steps.append(UnitLengthStep(*_names(module.settings, folder)))
            elif module.kind != "Dropout":  # which does nothing outside training
                try:
                    steps.append({"Dense": DenseStep, "LayerNorm": LayerNormStep}[module.kind](module, folder))
                except KeyError as error:
                    raise ModelError(f"{folder}: the config.json of its module {module.kind!r} does not say {error}.") from error
        return cls(steps or [PoolingStep("mean")], includes_prompt=includes_prompt)

    @property
    def pooling(self) -> str:
        """Name of the pooling."""
        return "+".join(next(step.names for step in self.steps if isinstance(step, PoolingStep)))

    @property
    def ends_at_unit_length(self) -> bool:
        """Whether the last step scales points to unit length."""
        last = self.steps[-1]
        return isinstance(last, UnitLengthStep) and last.target == POINT

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but a pooling of the last states by ``mean``, ``first`` or ``last``, and a scaling to unit length."""
        inner = list(self.steps)[: -1 if self.ends_at_unit_length else None]
        return len(inner) == 1 and self.includes_prompt and self.pooling in ("mean", "first", "last")

    def hash_after(self, weights: str) -> str:
        """Hash of the transformer, taken on by what follows it: weights and kinds of the steps but pooling and the last scaling.

        Parameters
        ----------
        weights : str
            Hash of the transformer.
        """
        inner = [step for step in list(self.steps)[: -1 if self.ends_at_unit_length else None] if not isinstance(step, PoolingStep)]
        if not inner:
            return weights
        order = " ".join(f"{type(step).__name__}" for step in self.steps)
        state = nn.ModuleList(inner).state_dict()
        arrays = ((name, state[name].detach().cpu().numpy()) for name in sorted(state))
        return array_hash([(f"{weights} {order} {nn.ModuleList(inner)!r}", np.zeros(0)), *arrays])

    def with_pooling(self, name: str) -> "EncoderSteps":
        """The same with another pooling."""
        steps = [PoolingStep(name) if isinstance(step, PoolingStep) else step for step in self.steps]
        return EncoderSteps(steps, includes_prompt=self.includes_prompt)

    def scaled(self, *, to_unit_length: bool) -> "EncoderSteps":
        """The same with or without a scaling to unit length at the end."""
        steps = list(self.steps)[: -1 if self.ends_at_unit_length else None]
        return EncoderSteps([*steps, *([UnitLengthStep()] if to_unit_length else [])], includes_prompt=self.includes_prompt)

    def width(self, n_states: int) -> int:
        """Dimensions of a point, from those of a state."""
        widths = {TOKENS: n_states}
        for step in self.steps:
            if isinstance(step, PoolingStep):
                widths[POINT] = widths[TOKENS] * len(step.names)
            elif isinstance(step, DenseStep):
                widths[step.target] = step.linear.out_features
        return widths[POINT]

    def forward(self, states: Tensor, mask: Tensor, span: Tensor, *, n_prompt: int = 0) -> Tensor:
        """Points of texts.

        Parameters
        ----------
        states : Tensor of shape (n_texts, n_tokens, n_states)
        mask, span : Tensor of shape (n_texts, n_tokens)
            1 for real tokens, which begin at the left, and for those of the span.
        n_prompt : int
            Tokens at the beginning that belong to the prompt.
        """
        if n_prompt and not self.includes_prompt:
            mask = mask.clone()
            mask[:, :n_prompt] = 0
        features = {TOKENS: states}
        for step in self.steps:
            features = step(features, mask, span)
        return features[POINT]


def activation(reference: Any, folder: str) -> nn.Module:
    """An activation of torch by its full name, such as ``torch.nn.modules.activation.Tanh``.

    Parameters
    ----------
    reference : str
    folder : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        If it is none of torch.
    """
    name = str(reference).rsplit(".", 1)[-1]
    found = getattr(nn, name, None)
    known = isinstance(found, type) and (found.__module__ == "torch.nn.modules.activation" or found is nn.Identity)
    if not known or not str(reference).startswith("torch.nn."):
        raise ModelError(f"{folder} has a dense layer with the activation {reference!r}, which is none of torch.nn and not supported.")
    try:
        made: nn.Module = found()  # type: ignore[misc]
    except TypeError as error:
        raise ModelError(
            f"{folder} has a dense layer with the activation {reference!r}, which needs settings that are not there."
        ) from error
    return made


def _names(settings: dict[str, Any], folder: str) -> tuple[str, str]:
    source = settings.get("module_input_name") or POINT
    target = settings.get("module_output_name") or source
    unknown = {source, target} - {TOKENS, POINT}
    if unknown or source != target:
        raise ModelError(
            f"{folder} has a module that makes {target!r} of {source!r}; only {TOKENS!r} or {POINT!r} may be changed in place."
        )
    return source, target


def _load(step: nn.Module, folder: Path) -> None:
    """Fill a step with its weights, all of them."""
    path = folder / "model.safetensors"
    if not path.is_file():
        pickled = " It holds them as a pickle, which can run code when opened:" if any(folder.glob("*.bin")) else ""
        raise ModelError(
            f"{folder} lacks model.safetensors, the weights of a module.{pickled} load and save the model with sentence-transformers."
        )
    try:
        step.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} does not hold the weights of its module: {str(error).splitlines()[0]} Download or save the model again."
        ) from error
