"""Texts as a text VAE reads them: ids for its encoder, and ids for its decoder with a beginning and an end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lexframe.exceptions import ModelError
from lexframe.spaces.tokenization import Tokenization, require_strings


@dataclass(frozen=True, slots=True)
class VAEText:
    """One text as ids.

    Attributes
    ----------
    encoder_ids : tuple of int
        What the encoder reads, one at least.
    ids : tuple of int
        What the decoder writes between beginning and end.
    truncated : bool
        Whether tokens were cut off.
    """

    encoder_ids: tuple[int, ...]
    ids: tuple[int, ...]
    truncated: bool

    def __len__(self) -> int:
        """Tokens that the decoder predicts, the end included."""
        return len(self.ids) + 1


@dataclass(frozen=True, slots=True)
class VAEBatch:
    """Right-padded tensors of shape (n_texts, n_tokens) in which padding is 0 in the masks.

    Attributes
    ----------
    encoder_ids, encoder_mask : Tensor of int64
        For the encoder.
    inputs, targets, mask : Tensor of int64
        ``inputs`` begin with the beginning of a text, ``targets`` end with its end.
    """

    encoder_ids: Tensor
    encoder_mask: Tensor
    inputs: Tensor
    targets: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "VAEBatch":
        """The batch on `device`."""
        return VAEBatch(*(getattr(self, name).to(device) for name in self.__slots__))


class VAETexts:
    """Turns texts into ids for encoder and decoder.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Of the decoder; read only. A text that spells a special token is text.
    encoder_tokenizer : PreTrainedTokenizerFast, optional
        Default: the decoder's; the encoder then reads the text and its end.
    max_tokens : int
        Longest text of the decoder, without beginning and end.
    encoder_room : int
        Most tokens the encoder takes.
    """

    def __init__(self, tokenizer: Any, *, encoder_tokenizer: Any = None, max_tokens: int, encoder_room: int = 512):
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{type(tokenizer).__name__} is no fast tokenizer (one with a tokenizer.json), which AutoTokenizer loads by default."
            )
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self.begin, self.end = (_special_id(tokenizer, names) for names in (("bos", "cls", "eos"), ("eos", "sep", "bos")))
        self.padding = int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end)
        backend = tokenizer.backend_tokenizer
        self._backend = type(backend).from_str(backend.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True
        self.encoder_tokenizer = encoder_tokenizer
        self._encoder = None if encoder_tokenizer is None else Tokenization(encoder_tokenizer, max_length=encoder_room)

    def __call__(self, texts: Sequence[str]) -> list[VAEText]:
        """Tokenize texts, cutting those that are longer than `max_tokens`."""
        texts = list(texts)
        require_strings(texts)
        if not texts:
            return []
        whole = [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]
        if self._encoder is None:
            read = [(*ids[: self.max_tokens], self.end) for ids in whole]
        else:
            read = [tuple(text.ids.tolist()) for text in self._encoder(texts)]
        return [
            VAEText(encoder_ids=tuple(source), ids=tuple(ids[: self.max_tokens]), truncated=len(ids) > self.max_tokens)
            for source, ids in zip(read, whole, strict=True)
        ]

    def encoder_batch(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ids of the encoder, padded, and their mask."""
        padding = self.padding if self.encoder_tokenizer is None else int(self.encoder_tokenizer.pad_token_id or 0)
        return _pad(rows, padding)

    def batch(self, texts: Sequence[VAEText]) -> VAEBatch:
        """Pad some texts into one batch."""
        encoder_ids, encoder_mask = self.encoder_batch([text.encoder_ids for text in texts])
        inputs, mask = _pad([(self.begin, *text.ids) for text in texts], self.padding)
        targets, _ = _pad([(*text.ids, self.end) for text in texts], self.padding)
        return VAEBatch(encoder_ids, encoder_mask, inputs, targets, mask)

    def texts(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Texts of ids that the decoder wrote; special tokens are left out."""
        return [str(self.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)) for row in rows]


def _pad(rows: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    ids = np.full((len(rows), max(map(len, rows))), padding, dtype=np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _special_id(tokenizer: Any, names: Sequence[str]) -> int:
    for name in names:
        found = getattr(tokenizer, f"{name}_token_id", None)
        if found is not None:
            return int(found)
    raise ModelError("The decoder's tokenizer marks neither beginning nor end of a text. Use one with a bos or an eos token.")
