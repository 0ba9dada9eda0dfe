"""The network of a text VAE: an encoder that gives a Gaussian, and a causal language model that writes from a point of it.

Encoder and decoder are transformers models. The latent reaches the decoder in two ways, each optional: as memory tokens, which are
keys and values that every block can attend to, and as a scale and a shift of the norms in every block.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.base import resolve_layer
from lexframe.spaces.language_model.foreign import of_others
from lexframe.spaces.language_model.layers import find_blocks, longest_input, read_states, text_config


@dataclass(frozen=True, slots=True)
class LatentShape:
    """How wide the latent is and how it enters and leaves.

    Attributes
    ----------
    n_latent : int
        Dimensions of the latent; 0 makes the plain language model of the same decoder, for comparison.
    memory_tokens : int
        Memory tokens in front of the text in every block; 0 for none.
    scale_shift : bool
        Scale and shift the norms of every block.
    n_queries : int
        Heads of the attention that pools the encoder's states.
    encoder_layer : int
        State of the encoder that is pooled: 0 is the embedding output, k the output of block k, -1 the last state.
    max_tokens : int
        Longest text, in tokens of the decoder.

    Raises
    ------
    InputError
        If a latent has no way into the decoder, or a number is out of range.
    """

    n_latent: int = 32
    memory_tokens: int = 4
    scale_shift: bool = True
    n_queries: int = 4
    encoder_layer: int = -1
    max_tokens: int = 40

    def __post_init__(self) -> None:
        if self.n_latent and not (self.memory_tokens or self.scale_shift):
            raise InputError("The latent has no way into the decoder: ask for memory tokens, scale-shift or both.")
        for name, least in (("n_latent", 0), ("memory_tokens", 0), ("n_queries", 1), ("max_tokens", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected {least} or more.")


class AttentionPooling(nn.Module):
    """One vector a text: for each of some learned queries the attention-weighted mean of the states, side by side.

    Parameters
    ----------
    width : int
        Of the states.
    n_queries : int
        The result is ``n_queries * width`` wide.
    """

    def __init__(self, width: int, n_queries: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scores = nn.Linear(width, n_queries)

    def forward(self, states: Float[Tensor, "n_texts n_tokens width"], mask: Int[Tensor, "n_texts n_tokens"]) -> Float[Tensor, "n_texts d"]:
        """Pool over the tokens that `mask` calls real."""
        states = self.norm(states.float())
        scores = self.scores(states).float().masked_fill(mask.unsqueeze(-1) == 0, -torch.inf)
        return torch.einsum("btd,btq->bqd", states, scores.softmax(1).to(states.dtype)).flatten(1)


class MemoryTokens(nn.Module):
    """Keys and values of every block as linear functions of the latent (the memory injection of Li et al., 2020 [1]_, with several tokens).

    References
    ----------
    .. [1] Li et al. (2020), Optimus: Organizing Sentences via Pre-trained Modeling of a Latent Space, EMNLP.
    """

    def __init__(self, decoder: nn.Module, n_latent: int, n_tokens: int):
        super().__init__()
        config = text_config(decoder)
        self.n_layers, self.n_tokens = len(find_blocks(decoder)), n_tokens
        n_heads = int(config.num_attention_heads)
        self.n_heads = int(getattr(config, "num_key_value_heads", None) or n_heads)
        self.head_width = int(getattr(config, "head_dim", None) or config.hidden_size // n_heads)
        self.project = nn.Linear(n_latent, self.n_layers * 2 * n_tokens * self.n_heads * self.head_width)
        nn.init.normal_(self.project.weight, std=n_latent**-0.5)

    def forward(self, z: Float[Tensor, "n_texts n_latent"], dtype: torch.dtype) -> Any:
        """The memory as a cache of the decoder."""
        from transformers import DynamicCache

        parts = self.project(z).to(dtype).view(len(z), self.n_layers, 2, self.n_heads, self.n_tokens, self.head_width)
        cache = DynamicCache()
        for layer in range(self.n_layers):
            cache.update(parts[:, layer, 0], parts[:, layer, 1], layer)
        return cache


class ScaleShift(nn.Module):
    """Scale and shift of the output of every norm in the decoder's blocks, as linear functions of the latent (FiLM [1]_).

    References
    ----------
    .. [1] Perez et al. (2018), FiLM: Visual Reasoning with a General Conditioning Layer, AAAI.
    """

    def __init__(self, decoder: nn.Module, n_latent: int):
        super().__init__()
        self.width = int(text_config(decoder).hidden_size)
        self.n_norms = len(block_norms(decoder))
        self.project = nn.Linear(n_latent, self.n_norms * 2 * self.width)
        nn.init.normal_(self.project.weight, std=0.1 * n_latent**-0.5)
        nn.init.zeros_(self.project.bias)

    @contextmanager
    def applied(self, decoder: nn.Module, z: Float[Tensor, "n_texts n_latent"]) -> Iterator[None]:
        """Within this context the norms of `decoder` are scaled and shifted, and nothing stays afterwards."""
        parts = self.project(z).view(len(z), self.n_norms, 2, 1, self.width)
        with ExitStack() as stack:
            for number, norm in enumerate(block_norms(decoder)):
                hook = norm.register_forward_hook(_scaling(parts[:, number, 0], parts[:, number, 1]))
                stack.callback(hook.remove)
            yield


def _scaling(scale: Tensor, shift: Tensor) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        rows = output.view(len(scale), -1, output.shape[-1])  # OPT hands its second norm all tokens of all texts in one row
        return (rows * (1 + scale.to(output.dtype)) + shift.to(output.dtype)).view_as(output)

    return hook


def block_norms(decoder: nn.Module) -> list[nn.Module]:
    """The norms that stand directly in the decoder's blocks, in order.

    Raises
    ------
    ModelError
        If a block has none.
    """
    norms = []
    for block in find_blocks(decoder):
        found = [child for child in block.children() if "norm" in type(child).__name__.lower()]
        if not found:
            raise ModelError(
                f"The blocks of {type(decoder).__name__} hold no norms to scale and shift. Use memory tokens alone (scale_shift=False)."
            )
        norms += found
    return norms


class ConditionedDecoder(nn.Module):
    """A causal language model whose every token depends on a latent.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With a language modelling head.
    shape : LatentShape
    """

    def __init__(self, model: Any, shape: LatentShape):
        super().__init__()
        if not getattr(model, "can_generate", bool)():
            raise ModelError(f"{type(model).__name__} does not write texts. Use a causal language model as decoder, such as 'embedded'.")
        self.model = model
        self.memory = MemoryTokens(model, shape.n_latent, shape.memory_tokens) if shape.n_latent and shape.memory_tokens else None
        self.scale_shift = ScaleShift(model, shape.n_latent) if shape.n_latent and shape.scale_shift else None
        self.dropped_word = nn.Parameter(torch.zeros(model.get_input_embeddings().weight.shape[1]))

    @property
    def n_memory(self) -> int:
        """Memory tokens in front of the text."""
        return self.memory.n_tokens if self.memory is not None else 0

    def start(self, z: Float[Tensor, "n_texts n_latent"]) -> Any:
        """The cache from which writing starts; None where there is no memory."""
        return self.memory(z, self.model.get_input_embeddings().weight.dtype) if self.memory is not None else None

    def forward(
        self,
        ids: Int[Tensor, "n_texts n_tokens"],
        mask: Int[Tensor, "n_texts n_all"],
        z: Float[Tensor, "n_texts n_latent"] | None,
        *,
        cache: Any = None,
        position: int = 0,
        dropped: Tensor | None = None,
    ) -> Float[Tensor, "n_texts n_tokens n_vocab"]:
        """Logits of the token after each of `ids`.

        Parameters
        ----------
        ids : Tensor of shape (n_texts, n_tokens)
            Right-padded.
        mask : Tensor of shape (n_texts, position + n_tokens)
            1 for real tokens, those in `cache` included, the memory not.
        z : Tensor of shape (n_texts, n_latent) or None
            None writes without a latent, as a plain language model.
        cache : transformers.DynamicCache, optional
            From :meth:`start`, when writing token by token; None reads a whole text.
        position : int
            Of the first of `ids` in its text.
        dropped : Tensor of bool, shape (n_texts, n_tokens), optional
            Tokens whose embedding is replaced by one learned vector (word dropout).
        """
        embeddings = self.model.get_input_embeddings()(ids)
        if dropped is not None:
            embeddings = torch.where(dropped.unsqueeze(-1), self.dropped_word.to(embeddings.dtype), embeddings)
        if cache is None and z is not None:
            cache = self.start(z)
        positions = torch.arange(position, position + ids.shape[1], device=ids.device).expand(len(ids), -1)
        n_memory = self.n_memory if cache is not None else 0
        whole = torch.cat([mask.new_ones(len(mask), n_memory), mask], dim=1) if n_memory else mask
        modulated = self.scale_shift.applied(self.model, z) if self.scale_shift is not None and z is not None else nullcontext()
        with modulated, of_others(self.model, f"read {tuple(ids.shape)} words after a latent"):
            output = self.model(
                inputs_embeds=embeddings,
                attention_mask=whole,
                past_key_values=cache,
                use_cache=cache is not None,
                position_ids=positions,
                return_dict=True,
            )
        return output.logits


class TextVAENetwork(nn.Module):
    """Encoder, posterior and decoder.

    Parameters
    ----------
    encoder : transformers.PreTrainedModel or None
        Without head. None where the shape has no latent.
    decoder : transformers.PreTrainedModel
        With a language modelling head.
    shape : LatentShape

    Raises
    ------
    InputError
        If the decoder has no room for so many tokens, or the encoder no such layer.
    """

    def __init__(self, encoder: Any, decoder: Any, shape: LatentShape):
        super().__init__()
        self.shape = shape
        room = longest_input(decoder, None)
        if shape.max_tokens + 1 > room:
            raise InputError(f"max_tokens is {shape.max_tokens}, but {type(decoder).__name__} takes {room - 1}.")
        self.decoder = ConditionedDecoder(decoder, shape)
        if shape.n_latent:
            width = int(text_config(encoder).hidden_size)
            self.encoder = encoder
            self._layer = resolve_layer(shape.encoder_layer, len(find_blocks(encoder)))
            self.pooling = AttentionPooling(width, shape.n_queries)
            self.to_posterior = nn.Sequential(nn.Linear(shape.n_queries * width, width), nn.GELU(), nn.Linear(width, 2 * shape.n_latent))
            self.to_words = nn.Linear(shape.n_latent, int(text_config(decoder).vocab_size))

    def posterior(
        self, ids: Int[Tensor, "n_texts n_tokens"], mask: Int[Tensor, "n_texts n_tokens"]
    ) -> tuple[Float[Tensor, "n_texts n_latent"], Float[Tensor, "n_texts n_latent"]]:
        """Means and log-variances of q(z | x), for ids of the encoder."""
        states = read_states(self.encoder, ids, mask, [self._layer])[self._layer]
        mean, log_variance = self.to_posterior(self.pooling(states, mask)).float().chunk(2, dim=-1)
        return mean, log_variance

    @torch.no_grad()
    def move_latent(self, center: Float[Tensor, " n_latent"], scale: Float[Tensor, " n_latent"]) -> None:
        """Change the coordinates of the latent to ``(z - centre) / scale``; what is written from a text's Gaussian stays the same.

        Parameters
        ----------
        centre, scale : Tensor of shape (n_latent,)
            In today's coordinates; scales above 0.
        """
        n_latent = self.shape.n_latent
        weight, bias = (getattr(self.to_posterior[-1], name) for name in ("weight", "bias"))
        weight[:n_latent] /= scale.unsqueeze(1)
        bias[:n_latent] = (bias[:n_latent] - center) / scale
        bias[n_latent:] -= 2 * torch.log(scale)
        ways = [part.project for part in (self.decoder.memory, self.decoder.scale_shift) if part is not None]
        for linear in (*ways, self.to_words):
            linear.bias.add_(linear.weight @ center)
            linear.weight.mul_(scale)

    def bag_of_words(self, z: Float[Tensor, "n_texts n_latent"]) -> Float[Tensor, "n_texts n_vocab"]:
        """Logits of the words of a text without their order, which a term of the objective asks the latent for."""
        return self.to_words(z)


def token_log_probabilities(
    logits: Float[Tensor, "n_texts n_tokens n_vocab"], targets: Int[Tensor, "n_texts n_tokens"], mask: Int[Tensor, "n_texts n_tokens"]
) -> Float[Tensor, "n_texts n_tokens"]:
    """Log-probability of every target in nats, 0 where `mask` is 0; float32 whatever the precision of the logits."""
    losses = nn.functional.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    return torch.where(mask.bool(), -losses, 0.0)
