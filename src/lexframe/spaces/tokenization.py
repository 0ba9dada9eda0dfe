"""From texts to padded batches of ids, without touching the caller's tokenizer.

The tokenizer is asked for ids and character offsets, and for nothing else: padding, truncation and the template
are ours, so its padding side, padding token and maximal length play no part and are not changed.
"""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.templates import PLACEHOLDER, Template

MOST_REMEMBERED = 4096
"""Texts whose ids are remembered until the next question."""


def require_strings(texts: Sequence[Any]) -> None:
    """Refuse what no tokenizer takes.

    Raises
    ------
    InputError
        If something is no string, or a string holds half a character (a lone surrogate).
    """
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"Text number {number} is {type(text).__name__}, not a string: {text!r:.60}.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"Text number {number} is no valid Unicode at character {error.start}: {text!r:.60}. It was read with the wrong encoding, "
                "or cut within a character; read it as what it is, most likely UTF-8 or Latin-1."
            ) from error


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """One text as ids.

    Attributes
    ----------
    ids : ndarray of int64, shape (n_tokens,)
        Special tokens and template included, at least one.
    span : ndarray of bool, shape (n_tokens,)
        Tokens that hold a character of the span that was asked for (default: the text without its template).
    truncated : bool
        Whether tokens of the text were cut off.
    types : ndarray of int64, shape (n_tokens,), or None
        Numbers of segments, where the tokenizer gives another than 0.
    """

    ids: np.ndarray
    span: np.ndarray
    truncated: bool
    types: np.ndarray | None = None


class Tokenization:
    """Turns texts into ids within a template and a maximal length.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Read only.
    template : str
        Holds ``{text}`` once.
    max_length : int
        Most tokens of one text, special tokens and template included.
    truncation : {"right", "left"}
        The side of the text that is cut off. Template and special tokens stay.
    keep_template : bool
        Whether the template stays where a text is cut; otherwise it is cut like the text.
    as_it_is : bool
        Whether a special token that stands in the text and is added by the tokenizer too is read twice.
    open_end : bool
        Whether special tokens that the tokenizer adds at the end are left out, because the text goes on.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        template: str = PLACEHOLDER,
        max_length: int = 512,
        truncation: str = "right",
        keep_template: bool = True,
        as_it_is: bool = False,
        open_end: bool = False,
    ):
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"{type(tokenizer).__name__} gives no character offsets. Use a fast tokenizer (one with a tokenizer.json), "
                "which AutoTokenizer loads by default."
            )
        if truncation not in ("right", "left"):
            raise InputError(f"truncation is {truncation!r}; expected 'right' or 'left', the side of a text that is cut off.")
        self.tokenizer, self.template = tokenizer, Template.parse(template)
        self.max_length, self.truncation, self.keep_template = max_length, truncation, keep_template
        self.as_it_is, self.open_end = as_it_is, open_end
        self._last: tuple[tuple[Any, ...], list[TokenizedText]] = ((), [])

    def __call__(self, texts: Sequence[str], *, spans: Sequence[tuple[int, int]] | None = None) -> list[TokenizedText]:
        """Tokenize `texts`; `spans` are character ranges within each text, without the template.

        The last answer is remembered: points, lengths and cuts of the same texts are asked for one after another.
        """
        texts = list(texts)
        asked = None if spans is None else [(int(start), int(stop)) for start, stop in spans]
        question = (self.template, self.max_length, self.truncation, texts, asked)
        known, answer = self._last
        if known != question:
            answer = self._tokenize(texts, asked)
            self._last = (question, answer) if len(texts) <= MOST_REMEMBERED else ((), [])
        return answer

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": ((), [])}

    def _tokenize(self, texts: list[str], spans: Sequence[tuple[int, int]] | None) -> list[TokenizedText]:
        if spans is not None and len(spans) != len(texts):
            raise InputError(f"{len(spans)} spans were given for {len(texts)} texts. Give one (start, stop) a text.")
        if not texts:
            return []
        require_strings(texts)
        filled = [self.template.fill(text) for text in texts]
        # The backend is used directly: the wrapper would set its truncation and padding, the caller's state.
        encodings = self._encode(filled)
        results = []
        for number, (text, encoding) in enumerate(zip(texts, encodings, strict=True)):
            start, stop = spans[number] if spans is not None else (0, len(text))
            if not 0 <= start <= stop <= len(text):
                raise InputError(f"The span ({start}, {stop}) of text number {number} is not within its {len(text)} characters.")
            results.append(self._one(text, encoding, start, stop))
        return results

    def _encode(self, texts: list[str]) -> list[Any]:
        backend = self.tokenizer.backend_tokenizer
        if backend.truncation is None and backend.padding is None:
            return backend.encode_batch(texts, add_special_tokens=True)
        copy = type(backend).from_str(backend.to_str())
        copy.no_truncation()
        copy.no_padding()
        return copy.encode_batch(texts, add_special_tokens=True)

    def _one(self, text: str, encoding: Any, start: int, stop: int) -> TokenizedText:
        ids = np.array(encoding.ids, dtype=np.int64)
        begin = len(self.template.before)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        special = np.array(encoding.special_tokens_mask, dtype=bool)
        types = np.array(encoding.type_ids, dtype=np.int64)
        keep = np.ones(len(ids), dtype=bool) if self.as_it_is else ~doubled(ids, special)
        if self.open_end and len(ids):
            keep &= np.arange(len(ids)) <= max(np.flatnonzero(~special), default=0)
        ids, special, types, offsets = ids[keep], special[keep], types[keep], offsets[keep]
        # A token belongs to a range if they share a character; byte-level tokens may begin with the blank before it.
        of_text = ~special & (offsets[:, 0] < begin + len(text)) & (offsets[:, 1] > begin)
        of_span = ~special & (offsets[:, 0] < begin + stop) & (offsets[:, 1] > begin + start)
        excess = len(ids) - self.max_length
        if excess > 0:
            removable = np.flatnonzero(of_text if self.keep_template else ~special)
            if excess >= len(removable):
                raise InputError(
                    f"The template {str(self.template)!r} alone has {len(ids) - len(removable)} tokens, but the model takes "
                    f"{self.max_length}. Shorten the template or raise max_length."
                )
            cut = removable[-excess:] if self.truncation == "right" else removable[:excess]
            keep = np.ones(len(ids), dtype=bool)
            keep[cut] = False
            ids, of_span, types = ids[keep], of_span[keep], types[keep]
        if not len(ids):
            ids, of_span, types = np.array([self._blank_id()], dtype=np.int64), np.array([True]), types[:0]
        return TokenizedText(ids=ids, span=of_span, truncated=excess > 0, types=types if types.any() else None)

    def _blank_id(self) -> int:
        """What stands for an empty text: a model needs one token at least."""
        for name in ("bos_token_id", "eos_token_id", "cls_token_id", "pad_token_id"):
            token = getattr(self.tokenizer, name, None)
            if token is not None:
                return int(token)
        return 0


def doubled(ids: np.ndarray, special: np.ndarray) -> np.ndarray:
    """Special tokens that the tokenizer adds although the text has them already, such as ``<s>`` at its beginning; bool, by token.

    Parameters
    ----------
    ids : ndarray of int
    special : ndarray of bool
        Those that the tokenizer added.
    """
    twice = np.zeros(len(ids), dtype=bool)
    places = np.flatnonzero(~special)
    if not len(places):
        return twice
    first, last = int(places[0]), int(places[-1])
    if first and ids[first - 1] == ids[first]:
        twice[first - 1] = True
    if last + 1 < len(ids) and ids[last + 1] == ids[last]:
        twice[last + 1] = True
    return twice


@dataclass(frozen=True, slots=True)
class Batch:
    """Ids padded on the right, masks of real and of span tokens, numbers of segments; shape (n_texts, n_tokens)."""

    ids: Tensor
    mask: Tensor
    span: Tensor
    types: Tensor


def pad_batch(texts: Sequence[TokenizedText], *, padding_id: int, device: torch.device) -> Batch:
    """Stack tokenized texts; on the right, so that learned, rotary and relative positions all begin at their origin."""
    length = max(len(text.ids) for text in texts)
    ids = np.full((len(texts), length), padding_id, dtype=np.int64)
    mask = np.zeros((len(texts), length), dtype=np.int64)
    span = np.zeros((len(texts), length), dtype=bool)
    types = np.zeros((len(texts), length), dtype=np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids)] = text.ids
        mask[row, : len(text.ids)] = 1
        span[row, : len(text.ids)] = text.span
        if text.types is not None:
            types[row, : len(text.ids)] = text.types
    tensors = (torch.from_numpy(array) for array in (ids, mask, span, types))
    if device.type == "cuda":  # from pinned memory the transfer does not wait for the computation
        return Batch(*(tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors))
    return Batch(*(tensor.to(device) for tensor in tensors))


def lowering(tokenizer: Any) -> Any:
    """A tokenizer that lowers texts before anything else; the same one where it does so already.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Left as it is.
    """
    from tokenizers import normalizers

    own = tokenizer.backend_tokenizer.normalizer
    parts = list(own) if isinstance(own, normalizers.Sequence) else [] if own is None else [own]
    if any(isinstance(part, normalizers.Lowercase) for part in parts):
        return tokenizer
    copied = copy.deepcopy(tokenizer)
    copied.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *parts])
    return copied


def tokenizer_hash(tokenizer: Any) -> str:
    """Sixteen hex digits over the whole tokenizer: vocabulary, merges and normalisation."""
    return hashlib.blake2b(tokenizer.backend_tokenizer.to_str().encode(), digest_size=8).hexdigest()
