"""Encoders and decoders of a text VAE that start from random weights."""

from dataclasses import dataclass
from typing import Any

from lexframe.exceptions import InputError
from lexframe.spaces.text_vae.network import LatentShape


@dataclass(frozen=True, slots=True)
class SmallParts:
    """Sizes of an encoder and a decoder that start from random weights.

    Attributes
    ----------
    d_model, n_heads : int
        Width and attention heads of both.
    encoder_layers, decoder_layers : int
        Blocks.
    dropout : float
        Of embeddings, attention and residual branches.
    """

    d_model: int = 256
    n_heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 4
    dropout: float = 0.1


def small_networks(
    vocab_size: int,
    shape: LatentShape,
    parts: SmallParts,
    *,
    token_ids: dict[str, int],
) -> tuple[Any, Any]:
    """A BERT encoder and a GPT-2 decoder with random weights and one table of word vectors.

    Parameters
    ----------
    vocab_size : int
        Tokens of the tokenizer that both use.
    shape : LatentShape
        Its `max_tokens` is the number of positions; without latent there is no encoder.
    parts : SmallParts
        Width, heads, blocks and dropout.
    token_ids : dict
        ``bos_token_id``, ``eos_token_id`` and ``pad_token_id``.

    Returns
    -------
    encoder, decoder : transformers.PreTrainedModel
    """
    from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

    if parts.d_model % parts.n_heads:
        raise InputError(f"d_model {parts.d_model} is not a multiple of n_heads {parts.n_heads}.")
    decoder: Any = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_embd=parts.d_model,
            n_layer=parts.decoder_layers,
            n_head=parts.n_heads,
            n_positions=shape.max_tokens + 1,
            embd_pdrop=parts.dropout,
            resid_pdrop=parts.dropout,
            attn_pdrop=parts.dropout,
            **token_ids,
        )
    )
    if not shape.n_latent:
        return None, decoder
    encoder: Any = BertModel(
        BertConfig(
            vocab_size=vocab_size,
            hidden_size=parts.d_model,
            num_hidden_layers=parts.encoder_layers,
            num_attention_heads=parts.n_heads,
            intermediate_size=4 * parts.d_model,
            max_position_embeddings=shape.max_tokens + 1,
            hidden_dropout_prob=parts.dropout,
            attention_probs_dropout_prob=parts.dropout,
            pad_token_id=token_ids["pad_token_id"],
        ),
        add_pooling_layer=False,
    )
    encoder.set_input_embeddings(decoder.get_input_embeddings())
    return encoder, decoder
