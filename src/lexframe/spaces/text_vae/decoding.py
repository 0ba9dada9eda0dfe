"""Writing texts from points of a text VAE, token by token, with a cache."""

import torch
from jaxtyping import Float
from torch import Tensor

from lexframe.spaces.decoding import Decoding
from lexframe.spaces.text_vae.network import ConditionedDecoder


def write_from(
    decoder: ConditionedDecoder,
    z: Float[Tensor, "n_texts n_latent"],
    *,
    begin: int,
    end: int,
    max_tokens: int,
    decoding: Decoding | None = None,
    n_known: int | None = None,
) -> list[list[int]]:
    """Ids of a text for every point, without beginning and end.

    Parameters
    ----------
    decoder : ConditionedDecoder
        In evaluation mode.
    z : Tensor of shape (n_texts, n_latent)
    begin, end : int
        Ids of the beginning and the end of a text.
    max_tokens : int
        A text ends there, or where the decoder ends it.
    decoding : Decoding, optional
        Default: the likeliest token each time.
    n_known : int, optional
        Ids from here on only pad the output head and are never written.
    """
    n_texts, device = len(z), z.device
    decoding = decoding or Decoding()
    generator = torch.Generator().manual_seed(decoding.seed)
    rows: list[list[int]] = [[] for _ in range(n_texts)]
    if not n_texts:
        return rows
    cache = decoder.start(z)
    if cache is None:
        from transformers import DynamicCache

        cache = DynamicCache()
    last = torch.full((n_texts, 1), begin, dtype=torch.int64, device=device)
    mask = torch.ones((n_texts, 0), dtype=torch.int64, device=device)
    open_rows = torch.ones(n_texts, dtype=torch.bool, device=device)
    for position in range(max_tokens):
        mask = torch.cat([mask, mask.new_ones(n_texts, 1)], dim=1)
        logits = decoder(last, mask, z, cache=cache, position=position)[:, -1].float()
        if n_known is not None:
            logits[:, n_known:] = -torch.inf
        chosen = _next_tokens(logits, decoding, generator)
        open_rows &= chosen != end
        if not open_rows.any():
            break
        for row in torch.nonzero(open_rows).flatten().tolist():
            rows[row].append(int(chosen[row]))
        last = chosen.unsqueeze(1)
    return rows


def _next_tokens(logits: Tensor, decoding: Decoding, generator: torch.Generator) -> Tensor:
    if decoding.is_greedy:
        return logits.argmax(-1)
    probabilities = (logits / decoding.temperature).softmax(-1)
    if decoding.top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        # The token that crosses the line stays, so that one always does.
        ordered = torch.where(ordered.cumsum(-1) - ordered < decoding.top_p, ordered, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(1, order, ordered)
    # Draws on the CPU are the same whatever the device.
    return torch.multinomial(probabilities.cpu(), 1, generator=generator).squeeze(1).to(logits.device)
