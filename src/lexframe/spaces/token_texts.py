"""What tokens look like in a text: with the blanks that a tokenizer's decoder leaves out at the beginning."""

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

_BROKEN = "\ufffd"
"""Stands for bytes that are no whole character."""

_anchors: "weakref.WeakKeyDictionary[Any, tuple[list[int], str]]" = weakref.WeakKeyDictionary()


def token_texts(tokenizer: Any, ids: Iterable[int]) -> list[str]:
    """What vocabulary items look like within a text, such as ``" cat"``.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    ids : iterable of int

    Returns
    -------
    list of str
        Special tokens by name.

    Notes
    -----
    Decoders of the SentencePiece kind drop the blank in front of the first word, and those of WordPiece set none: a token is decoded
    behind another one, whose text is then cut off.
    """
    wanted = [int(token) for token in ids]
    backend, special = tokenizer.backend_tokenizer, set(tokenizer.all_special_ids)
    anchor, before = _anchor(tokenizer)
    behind = backend.decode_batch([[*anchor, token] for token in wanted], skip_special_tokens=False)
    found = []
    for token, text in zip(wanted, behind, strict=True):
        if token in special:
            found.append(str(tokenizer.convert_ids_to_tokens(token)))
        elif text.startswith(before):
            found.append(text[len(before) :])
        else:
            found.append(backend.decode([token], skip_special_tokens=False))
    return found


def token_texts_of(tokenizer: Any, ids: Sequence[int], *, text: str) -> list[str]:
    """What the tokens of one text look like in it: as :func:`token_texts`, but the first has no blank that the text has not.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    ids : sequence of int
        Special tokens included.
    text : str
        What was read, with its template.
    """
    found, special = token_texts(tokenizer, ids), set(tokenizer.all_special_ids)
    first = next((place for place, token in enumerate(ids) if int(token) not in special), None)
    if first is not None and not text.startswith(" ") and found[first].startswith(" "):
        found[first] = found[first][1:]
    return found


def written_after(tokenizer: Any, prompt: Sequence[int], answer: Sequence[int]) -> str:
    """The text of some tokens that follow others, without special tokens.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    prompt, answer : sequence of int
        Decoded together, so that the blank between them stays.
    """
    backend = tokenizer.backend_tokenizer
    prompt, answer = [int(token) for token in prompt], [int(token) for token in answer]
    before, whole = (backend.decode(ids, skip_special_tokens=True) for ids in (prompt, [*prompt, *answer]))
    for known in (before, before.rstrip(_BROKEN)):  # an answer may begin with the last bytes of a character
        if whole.startswith(known):
            return str(whole[len(known) :])
    return str(backend.decode(answer, skip_special_tokens=True))


def _anchor(tokenizer: Any) -> tuple[list[int], str]:
    """Tokens to decode others behind, and their text."""
    known = _anchors.get(tokenizer)
    if known is None:
        backend = tokenizer.backend_tokenizer
        ids: list[int] = next((found for word in ("a", "A", "0", ".") if (found := backend.encode(word, add_special_tokens=False).ids)), [])
        if tokenizer.unk_token_id in ids:
            ids = []
        known = _anchors[tokenizer] = ids, backend.decode(ids, skip_special_tokens=False) if ids else ""
    return known
