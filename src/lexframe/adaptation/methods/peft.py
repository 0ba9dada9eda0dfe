"""Parameter-efficient tuning through the peft package: LoRA and (IA)³ on modules found by walking the model's blocks.

Nothing here knows a family of models: what is attention, what is feed-forward, and what leads back to the width of the
states is read off the modules themselves.
"""

import re
from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from lexframe.adaptation.methods.extras import import_extra
from lexframe.adaptation.methods.label_readouts import LabelReadout
from lexframe.adaptation.methods.weights import WeightMethod
from lexframe.exceptions import ModelError

_OF_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)
_KEY_OR_VALUE = re.compile(r"(^|_)[kv](_|$)|kv|key|value|c_attn", re.IGNORECASE)


def linear_modules(readout: LabelReadout) -> dict[str, nn.Module]:
    """Linear maps inside the blocks that are read, by their full name in the model; GPT-2's Conv1D is one.

    Raises
    ------
    ModelError
        If there is none.
    """
    blocks = readout.network.blocks
    inside = {id(module) for module in blocks.modules()}
    found = {
        name: module for name, module in readout.model.named_modules() if id(module) in inside and isinstance(module, nn.Linear | Conv1D)
    }
    if not found:
        raise ModelError(
            f"{type(readout.model).__name__}: no nn.Linear and no Conv1D was found inside its {len(blocks)} transformer blocks, so there "
            "is nothing to put an adapter on. Read a layer above 0, or use fine-tuning."
        )
    return found


def key_and_value_modules(linear: dict[str, nn.Module]) -> list[str]:
    """Projections to keys and values by the last part of their name; fused ones, which hold the queries too, are taken whole."""
    return [name for name in linear if _is_of_attention(name) and _KEY_OR_VALUE.search(name.rsplit(".", 1)[-1])]


def down_projections(linear: dict[str, nn.Module], width: int) -> list[str]:
    """Feed-forward maps from another width back to that of the states; the last of a feed-forward part where all are as wide."""
    of_feed_forward = [name for name in linear if not _is_of_attention(name)]
    narrowing = [name for name in of_feed_forward if _sizes(linear[name])[1] == width != _sizes(linear[name])[0]]
    if narrowing:
        return narrowing
    last = {_block_of(name): name for name in of_feed_forward if _sizes(linear[name])[1] == width}
    return list(last.values())


def _is_of_attention(name: str) -> bool:
    return _OF_ATTENTION.search(name) is not None


def _block_of(name: str) -> str:
    """The name up to its last number, such as ``layers.3`` of ``layers.3.mlp.fc2``."""
    return re.sub(r"(\.\d+)\.[^\d]*$", r"\1", name)


def _sizes(module: nn.Module) -> tuple[int, int]:
    """Width of input and of output."""
    weight: Any = module.weight
    n_in, n_out = weight.shape if isinstance(module, Conv1D) else weight.shape[::-1]
    return int(n_in), int(n_out)


class LoRA(WeightMethod):
    r"""Low-rank additions to every linear map of the blocks, attention and feed-forward alike.

    A map W becomes :math:`W + (\alpha / r) B A` with B zero at the start; `alpha` is twice the rank.

    Parameters
    ----------
    rank : int
        r, the width of A and B.
    learning_rates : sequence of float
        Full rates of AdamW to try.
    max_steps : int
        Most steps of one run; see :class:`~lexframe.adaptation.methods.weights.WeightMethod`.
    batch_size : int
        Texts in one step.

    Notes
    -----
    Experts of a mixture that are held in one three-dimensional weight are no linear maps and stay as they are.

    References
    ----------
    Hu et al. (2022), LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685.
    """

    name = "lora"
    description = "low-rank additions to the linear maps, trained"
    extra = "peft"

    def __init__(self, *, rank: int = 8, learning_rates: Sequence[float] = (3e-4, 1e-3, 3e-3), max_steps: int = 200, batch_size: int = 16):
        super().__init__(learning_rates=learning_rates, max_steps=max_steps, batch_size=batch_size)
        self.rank = rank

    def open_weights(self, readout: LabelReadout) -> None:
        """Add A and B beside the linear maps; peft closes all else."""
        peft = import_extra("peft", "peft")
        linear = linear_modules(readout)
        config = peft.LoraConfig(r=self.rank, lora_alpha=2 * self.rank, target_modules=list(linear), fan_in_fan_out=_transposed(linear))
        peft.inject_adapter_in_model(config, readout.model)


class IA3(WeightMethod):
    """(IA)³: a factor on every key, value and inner feed-forward unit, one before training.

    Where keys and values are one projection with the queries, those are scaled too.

    Parameters
    ----------
    learning_rates : sequence of float
        Full rates of AdamW to try.
    max_steps : int
        Most steps of one run; see :class:`~lexframe.adaptation.methods.weights.WeightMethod`.
    batch_size : int
        Texts in one step.

    References
    ----------
    Liu et al. (2022), Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning,
    arXiv:2205.05638.
    """

    name = "ia3"
    description = "factors on keys, values and feed-forward units, trained"
    extra = "peft"

    def __init__(self, *, learning_rates: Sequence[float] = (1e-2, 3e-2, 1e-1), max_steps: int = 200, batch_size: int = 16):
        super().__init__(learning_rates=learning_rates, max_steps=max_steps, batch_size=batch_size)

    def open_weights(self, readout: LabelReadout) -> None:
        """Add the factors; peft closes all else."""
        peft = import_extra("peft", "peft")
        linear = linear_modules(readout)
        feed_forward = down_projections(linear, readout.network.width)
        targets = [*key_and_value_modules(linear), *feed_forward]
        if not targets:
            raise ModelError(
                f"{type(readout.model).__name__}: (IA)³ looked for projections to keys and values (attention modules named key, value, "
                f"k_…, v_…, …kv…, c_attn) and for feed-forward maps back to the width of the states, but the blocks only have "
                f"{', '.join(list(linear)[:8])}. Use lora, which takes every linear map."
            )
        config = peft.IA3Config(target_modules=targets, feedforward_modules=feed_forward, fan_in_fan_out=_transposed(linear))
        peft.inject_adapter_in_model(config, readout.model)


def _transposed(linear: dict[str, nn.Module]) -> bool:
    """Whether weights are stored as (in, out); peft warns where it has to find that out itself."""
    return any(isinstance(module, Conv1D) for module in linear.values())
