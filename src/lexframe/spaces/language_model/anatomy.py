"""Where the parts of a transformers model are, found by running it on a few tokens and not by their names.

A body is the outermost module that turns ids into a last state. Its blocks are a list of modules that are called one after the
other, each with what the one before it gave: only then does a state that is moved in front of a block reach everything that comes
after it. Where there is no such list, states are those that the model itself hands out, and cannot be moved.
"""

import inspect
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.language_model.foreign import no_hook_left, of_others

PROBE_TOKENS = 5
"""Tokens on which a model is looked at."""
_SAME = 1e-4
_KNOWN: "WeakKeyDictionary[nn.Module, _Names]" = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of parts, so that nothing here keeps a model alive."""

    body: str
    blocks: str | None
    n_layers: int


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """Parts of a model.

    Attributes
    ----------
    body : nn.Module
        Turns ids into states.
    blocks : nn.ModuleList or None
        None where no list of modules carries the state on; states are then those that the model hands out itself.
    n_layers : int
        States are those of layers 0 … n_layers.
    """

    body: nn.Module
    blocks: nn.ModuleList | None
    n_layers: int


def anatomy(model: nn.Module) -> Anatomy:
    """Find the parts of a model; a model is looked at once.

    Raises
    ------
    ModelError
        If it does not read ids alone, or has no states to be read.
    """
    model = unwrapped(model)
    names = _KNOWN.get(model)
    if names is None:
        names = _KNOWN[model] = _examined(model)
    blocks: Any = None if names.blocks is None else model.get_submodule(names.blocks)
    return Anatomy(model.get_submodule(names.body), blocks, names.n_layers)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model of transformers within a wrapper of peft, whose additions stay in it.

    Raises
    ------
    ModelError
        If the wrapper adds tokens of its own to every text (prompt tuning), which the model within does not see.
    """
    while callable(getattr(model, "get_base_model", None)):
        configs: Any = getattr(model, "peft_config", {})
        if any(getattr(config, "is_prompt_learning", False) for config in configs.values()):
            raise ModelError(
                f"{type(model).__name__} puts learned tokens before every text (prompt tuning), which the model within does not see. "
                "Pass the model without it, or an adapter that changes weights, such as LoRA."
            )
        model = model.get_base_model()  # type: ignore[operator]
    return model


def text_config(model: nn.Module) -> Any:
    """The configuration of the part that reads text."""
    config: Any = unwrapped(model).config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Dropout off, gradients off; every module gets back the mode it had."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def probe_ids(model: nn.Module, n_tokens: int = PROBE_TOKENS, *, first: int = 3) -> Tensor:
    """A row of ids that every vocabulary holds, no longer than the positions of the model allow."""
    most = getattr(text_config(model), "max_position_embeddings", None)
    if isinstance(most, int) and most > 0:
        n_tokens = min(n_tokens, most)
    embeddings = unwrapped(model).get_input_embeddings()  # type: ignore[operator]
    rows = getattr(embeddings, "num_embeddings", None) or 64
    ids = (torch.arange(n_tokens) * 2 + first) % int(rows)
    return ids.unsqueeze(0).to(next(model.parameters()).device)


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that a module gives, or the first of those that it gives."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    found = getattr(output, "last_hidden_state", None)
    output = output if found is None else found
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether two tensors hold the same numbers, up to the rounding of another order of sums."""
    if one is None or other is None or one.shape != other.shape:
        return False
    if one is other:
        return True
    scale = other.float().abs().mean().clamp(min=1e-12)
    return bool((one.float() - other.float()).abs().max() <= _SAME * scale)


def known_arguments(module: nn.Module, arguments: dict[str, Any]) -> dict[str, Any]:
    """Those arguments that a module knows by name."""
    known = inspect.signature(module.forward).parameters
    return {
        name: value for name, value in arguments.items() if name in known or any(each.kind is each.VAR_KEYWORD for each in known.values())
    }


def run(module: nn.Module, ids: Tensor, **more: Any) -> Any:
    """One pass, without what is not needed; what a model refuses is one line.

    Raises
    ------
    ModelError
        If the model cannot be run on ids alone.
    """
    asked = known_arguments(module, {"attention_mask": torch.ones_like(ids), "use_cache": False, "return_dict": True} | more)
    advice = "Use a causal or masked language model, or the part of this one that reads text."
    with of_others(module, "be run on ids and a mask alone", advice=advice), no_hook_left(module):
        return module(input_ids=ids, **asked)


def _examined(model: nn.Module) -> _Names:
    _refuse_encoder_decoder(model)
    body = _body_name(model)
    module = model.get_submodule(body)
    calls: dict[nn.Module, list[tuple[Tensor | None, Any]]] = {}
    hooks = []

    def note(each: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        entered = args[0] if args else kwargs.get("hidden_states")
        calls.setdefault(each, []).append((entered if isinstance(entered, Tensor) else None, first_tensor(output)))

    lists = [(name, each) for name, each in module.named_modules() if isinstance(each, nn.ModuleList) and len(each)]
    hooks = [each.register_forward_hook(note, with_kwargs=True) for each in dict.fromkeys(each for _, found in lists for each in found)]
    ids = probe_ids(model)
    try:
        with evaluation_mode(model):
            output = run(module, ids, output_hidden_states=True)
    finally:
        for hook in hooks:
            hook.remove()
    own = getattr(output, "hidden_states", None)
    expected = getattr(text_config(model), "num_hidden_layers", None)
    own = own if isinstance(own, tuple) and len(own) > 1 else ()
    following = [(name, found) for name, found in lists if _follow(found, calls, ids.shape)]
    if len(following) > 1:  # one stack that cuts bytes into patches, another that reads them: the model says which are its layers
        following = [
            (name, found)
            for name, found in following
            if (not own or any(same(calls[found[-1]][0][0], state) for state in own)) and _reaches_the_end(found[-1], module, ids, output)
        ]
    if following and getattr(output, "last_hidden_state", None) is not None:
        name, found = min(following, key=lambda item: (item[0].count("."), len(item[1]) != expected))
        return _Names(body, ".".join(filter(None, (body, name))), len(found))
    if own:
        return _Names(body, None, len(own) - 1)
    last = first_tensor(output)
    if isinstance(expected, int) and last is not None and last.ndim == 3 and last.shape[:2] == ids.shape:
        return _Names(body, None, expected)  # a last state, and none before it
    raise ModelError(
        f"{type(model).__name__}: no list of blocks that hand a state of every token on, one to the next, was found in it, and it gives "
        "no states of its own, so layers cannot be read. Use another model."
    )


def _follow(blocks: nn.ModuleList, calls: dict[nn.Module, list[tuple[Tensor | None, Any]]], shape: Sequence[int]) -> bool:
    """Whether each block was called once, on what the one before it gave, with texts and tokens in front."""
    if len(set(blocks)) != len(blocks) or any(len(calls.get(block, ())) != 1 for block in blocks):
        return False
    ends = [calls[block][0] for block in blocks]
    if any(entered is None or not entered.is_floating_point() or entered.ndim < 3 or entered.shape[:2] != shape for entered, _ in ends):
        return False
    if not all(same(left, entered) for (_, left), (entered, _) in itertools.pairwise(ends)):
        return False
    entered, left = ends[-1]
    return entered is not None and left is not None and left.shape == entered.shape


def _reaches_the_end(block: nn.Module, body: nn.Module, ids: Tensor, before: Any) -> bool:
    """Whether what enters a block changes the last state."""

    def move(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return ((args[0] * 2 + 1, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": kwargs["hidden_states"] * 2 + 1})

    hook = block.register_forward_pre_hook(move, with_kwargs=True)
    try:
        with evaluation_mode(body):
            return not same(first_tensor(run(body, ids)), first_tensor(before))
    finally:
        hook.remove()


def _body_name(model: nn.Module) -> str:
    prefix = getattr(model, "base_model_prefix", "")
    if prefix and isinstance(getattr(model, prefix, None), nn.Module) and not _has_head(getattr(model, prefix)):
        return str(prefix)
    if not _has_head(model):
        return ""
    found: list[str] = []
    hooks = []
    for name, module in model.named_modules():
        if name and "input_ids" in inspect.signature(module.forward).parameters and not _has_head(module):

            def note(each: nn.Module, args: Any, output: Any, name: str = name) -> None:
                if getattr(output, "last_hidden_state", None) is not None:
                    found.append(name)

            hooks.append(module.register_forward_hook(note))
    try:
        with evaluation_mode(model):
            run(model, probe_ids(model))
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ModelError(f"{type(model).__name__}: no part of it turns ids into a last state. Use another model.")
    return min(found, key=lambda name: name.count("."))


def _has_head(model: nn.Module) -> bool:
    try:
        return model.get_output_embeddings() is not None  # type: ignore[operator]
    except (AttributeError, TypeError, NotImplementedError):
        return False


def _refuse_encoder_decoder(model: nn.Module) -> None:
    config: Any = getattr(model, "config", None)
    find = getattr(model, "get_encoder", None)
    if getattr(config, "is_encoder_decoder", False) and callable(find) and isinstance(find(), nn.Module) and find() is not model:
        raise encoder_decoder(type(model).__name__)


def encoder_decoder(name: str) -> InputError:
    """What is said of encoder-decoders."""
    return ModelError(
        f"{name} is an encoder-decoder: a text has states in two stacks, and its head reads the decoder's. "
        "Pass its encoder with its tokenizer: LanguageModelSpace(model.get_encoder(), tokenizer=...)."
    )
