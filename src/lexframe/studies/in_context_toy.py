r"""A small transformer that learns functions from demonstrations: a model whose task vectors are known to be there, or not to be.

Prompts read ``a -> f(a) b -> f(b) c ->``. Trained on them alone, a small model brings task and input together in the state of
the separator and never looks the input up again, so that no state stands for the task alone; Yang et al. (2025) find tasks weakly
and not locally encoded, too. With `planted_layer` an auxiliary loss like theirs is added: the state of a separator at that layer,
put into a question without demonstrations or behind those of another function, must answer it. Then the truth is known, and an
instrument that looks for task vectors can be held against it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lexframe.exceptions import InputError
from lexframe.instruments.patching.task import Task
from lexframe.seeding import seeded
from lexframe.spaces.language_model.layers import find_blocks
from lexframe.spaces.language_model.space import LanguageModelSpace
from lexframe.training.muon import MuonAdamW, matrix_and_other_parameters

SYMBOLS = "abcdefghijklmnopqrstuvwxyz"
SEPARATOR = "->"
DEMONSTRATION = 3
"""Tokens of a demonstration: input, separator, output."""


@dataclass(frozen=True, slots=True, eq=False)
class InContextToy:
    """A trained toy.

    Attributes
    ----------
    model : transformers.LlamaForCausalLM
    tokenizer : PreTrainedTokenizerFast
        A token a symbol, one for the separator.
    tables : mapping of str to ndarray of int, shape (n_symbols,)
        f of every symbol, by name of the function.
    losses : tuple of float
        Mean loss of each step, in nats.
    """

    model: Any
    tokenizer: Any
    tables: dict[str, Int[np.ndarray, " n_symbols"]]
    losses: tuple[float, ...]

    def space(self) -> LanguageModelSpace:
        """The last state of the toy as a space."""
        return LanguageModelSpace(self.model, tokenizer=self.tokenizer)

    def tasks(self) -> tuple[Task, ...]:
        """Every function as a task over all symbols."""
        return tuple(
            Task(name, tuple((SYMBOLS[source], SYMBOLS[target]) for source, target in enumerate(table)), separator=f" {SEPARATOR}")
            for name, table in self.tables.items()
        )


def toy_tables(n_symbols: int, seed: int) -> dict[str, Int[np.ndarray, " n_symbols"]]:
    """Eight functions: two shifts, the mirror images of both, and four random permutations."""
    rng, symbols = np.random.default_rng(seed), np.arange(n_symbols)
    tables = {"next": (symbols + 1) % n_symbols, "second next": (symbols + 2) % n_symbols}
    tables |= {f"mirrored {name}": n_symbols - 1 - table for name, table in tables.items()}
    return tables | {f"table {number}": rng.permutation(n_symbols) for number in range(1, 5)}


def train_in_context_toy(
    *,
    n_symbols: int = 12,
    n_layers: int = 3,
    n_dims: int = 64,
    planted_layer: int | None = 2,
    n_steps: int = 250,
    n_steps_plain: int = 140,
    batch_size: int = 64,
    seed: int = 0,
) -> InContextToy:
    """Train from scratch; half a minute on one core.

    Parameters
    ----------
    n_symbols : int
        At most 26.
    n_layers, n_dims : int
        Of the transformer; heads are four.
    planted_layer : int, optional
        Layer at which the state of a separator is trained to carry the task; None trains on prompts alone.
    n_steps, n_steps_plain : int
        Steps, and how many of them, at the beginning, without the auxiliary loss: it would slow down learning from demonstrations.
    batch_size : int
        Prompts of a step. Each shows nine demonstrations.
    seed : int
        Of weights, tables and prompts; the global generators are left alone.

    Returns
    -------
    InContextToy

    Raises
    ------
    InputError
        If there are too many or too few symbols, or the planted layer does not exist.

    References
    ----------
    Yang, Lin, Lee, Papailiopoulos, Nowak (2025), Task Vectors in In-Context Learning: Emergence, Formation, and Benefits,
    arXiv:2501.09240.
    """
    n_shots = 9
    if not n_shots < n_symbols <= len(SYMBOLS):
        raise InputError(f"n_symbols is {n_symbols}; expected {n_shots + 1} to {len(SYMBOLS)}.")
    if planted_layer is not None and not 0 < planted_layer < n_layers:
        raise InputError(f"planted_layer is {planted_layer}; expected 1 to {n_layers - 1}, or None.")
    rng, tables = np.random.default_rng(seed), toy_tables(n_symbols, seed)
    table = np.stack(list(tables.values()))
    with seeded(seed):
        model = _model(n_symbols, n_layers, n_dims)
    optimizer = MuonAdamW(*matrix_and_other_parameters(model), matrix_lr=0.02, lr=3e-3, matrix_weight_decay=0.0)
    rates = [group["lr"] for group in optimizer.param_groups]
    losses = []
    for step in range(n_steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min((step + 1) / 20, 1.0, 1.1 - step / n_steps)
        functions, ids = _prompts(table, batch_size, n_shots, rng)
        planted = planted_layer if step >= n_steps_plain else None
        loss = _loss(model, table, functions, ids, planted, rng)
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return InContextToy(model.eval(), _tokenizer(n_symbols), tables, tuple(losses))


def _model(n_symbols: int, n_layers: int, n_dims: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=n_symbols + 2,
            hidden_size=n_dims,
            intermediate_size=2 * n_dims,
            num_hidden_layers=n_layers,
            num_attention_heads=4,
            max_position_embeddings=64,
            pad_token_id=n_symbols + 1,
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def _tokenizer(n_symbols: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*SYMBOLS[:n_symbols], SEPARATOR, "<pad>"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<pad>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<pad>", model_max_length=64)  # noqa: S106


def _prompts(
    table: Int[np.ndarray, "n_functions n_symbols"], n_prompts: int, n_shots: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n_prompts"], Tensor]:
    """The function of each prompt, and its demonstrations of different symbols as ids."""
    n_symbols = table.shape[1]
    functions = rng.integers(0, len(table), n_prompts)
    inputs = rng.random((n_prompts, n_symbols)).argsort(axis=1)[:, :n_shots]
    outputs = np.take_along_axis(table[functions], inputs, axis=1)
    ids = np.stack([inputs, np.full_like(inputs, n_symbols), outputs], axis=2).reshape(n_prompts, -1)
    return functions, torch.from_numpy(ids)


def _loss(model: Any, table: np.ndarray, functions: np.ndarray, ids: Tensor, planted_layer: int | None, rng: np.random.Generator) -> Tensor:
    output = model(input_ids=ids[:, :-1], output_hidden_states=planted_layer is not None, use_cache=False)
    separators = torch.arange(1, ids.shape[1], DEMONSTRATION)
    loss = cross_entropy(output.logits[:, separators].flatten(0, 1), ids[:, separators + 1].flatten())
    if planted_layer is None:
        return loss
    carried = output.hidden_states[planted_layer][:, separators[2:]]  # two demonstrations tell the functions apart
    return loss + _planting_loss(model, table, np.repeat(functions, carried.shape[1]), carried.flatten(0, 1), planted_layer, rng)


def _planting_loss(model: Any, table: np.ndarray, functions: np.ndarray, carried: Tensor, layer: int, rng: np.random.Generator) -> Tensor:
    """Loss of questions whose separator has the state of a prompt of the same function at `layer`.

    Questions stand alone, or behind demonstrations of a function of their own, which the state then has to override.
    """
    _, ids = _prompts(table, len(functions), 1 + int(rng.choice([0, 0, 2, 4])), rng)
    with _last_states_replaced(find_blocks(model)[layer], carried):
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits[:, -1]
    inputs = ids[:, -DEMONSTRATION].numpy()
    return cross_entropy(logits, torch.from_numpy(table[functions, inputs]))


@contextmanager
def _last_states_replaced(block: nn.Module, carried: Tensor) -> Iterator[None]:
    """Like a move of the space, but a state a question, and with gradients."""

    def replace(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (torch.cat([args[0][:, :-1], carried.unsqueeze(1)], dim=1), *args[1:])

    hook = block.register_forward_pre_hook(replace)
    try:
        yield
    finally:
        hook.remove()
