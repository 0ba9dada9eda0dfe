"""Conversations as ids, in the chat template of a tokenizer, with contents that stay text whatever is typed in them."""

import functools
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from lexframe.exceptions import InputError, ModelError
from lexframe.files import json_text
from lexframe.spaces.base.chat import Conversation
from lexframe.spaces.templates import chat_template
from lexframe.spaces.tokenization import require_strings

_PLACE = "Xyzzy-{}-yzzyX"
_PLACES = re.compile(r"Xyzzy-(\d+)-yzzyX")
"""Stands for a content while a template is looked at."""
_ROLES = ("system", "user", "assistant")


class ChatPrompts:
    """Reads conversations with a tokenizer, which stays as it is.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    name : str
        Of the model, for messages.

    Raises
    ------
    ModelError
        If it has no chat template, or is not a fast tokenizer.
    """

    def __init__(self, tokenizer: Any, name: str):
        chat_template(tokenizer, name)  # refuses a tokenizer without one
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"{type(tokenizer).__name__} is not a fast tokenizer. Use one with a tokenizer.json.")
        self._tokenizer, self._name = tokenizer, name
        self._frames: dict[tuple[str, ...], str | None] = {}

    def ids(self, conversation: Conversation) -> Int[np.ndarray, " n_tokens"]:
        """Ids of a conversation up to where the assistant begins; see :meth:`lexframe.spaces.base.chat.ChatModel.prompt_ids`."""
        turns, frame = self._fitting(conversation)
        whole = self._recognizing.encode(self._rendered(turns), add_special_tokens=False).ids
        pieces = self._pieces(frame)
        structure = [piece for piece in pieces if isinstance(piece, int)]
        # A text without names of special tokens is read as the template has it, character by character.
        if [token for token in whole if token in self._structural] == structure:
            return np.array(whole, dtype=np.int64)
        contents = [content for _, content in turns]
        found: list[int] = []
        for piece in pieces:  # between two special tokens nothing is merged across, so that what is between can be read on its own
            found += [piece] if isinstance(piece, int) else self._as_text(_PLACES.sub(lambda match: contents[int(match[1])], piece))
        return np.array(found, dtype=np.int64)

    def ids_after(self, conversation: Conversation, text: str) -> list[int]:
        """Ids of what an assistant says at the beginning of its turn.

        Parameters
        ----------
        conversation : sequence of (str, str)
            Before its turn.
        text : str
            Read as it goes on from the last words of the template, where it has some after the last special token.
        """
        require_strings([text])
        last = self._pieces(self._fitting(conversation)[1])[-1:]
        tail = _PLACES.split(last[0])[-1] if last and isinstance(last[0], str) else ""
        before, whole = self._as_text(tail), self._as_text(tail + text)
        return whole[len(before) :] if whole[: len(before)] == before else self._as_text(text)

    def _fitting(self, conversation: Conversation) -> tuple[list[tuple[str, str]], str]:
        """The turns as the template takes them, and the template around places for their contents."""
        turns = [(role, content) for role, content in conversation]
        if not turns or not {role for role, _ in turns} <= set(_ROLES):
            raise InputError(f"The roles of a conversation are {[role for role, _ in turns]}; expected some of {', '.join(_ROLES)}.")
        require_strings([content for _, content in turns])
        frame = self._frame(turns)
        if frame is None:
            turns = _without_system(turns)
            frame = self._frame(turns)
        return turns, self._rendered(_places(turns)) if frame is None else frame  # which raises

    def _frame(self, turns: Sequence[tuple[str, str]]) -> str | None:
        """None where the template refuses such turns, or leaves out what the system says."""
        roles = tuple(role for role, _ in turns)
        if roles not in self._frames:
            try:
                frame = self._rendered(_places(turns))
            except ModelError:
                self._frames[roles] = None
            else:
                is_whole = all(_PLACE.format(number) in frame for number, role in enumerate(roles) if role == "system")
                self._frames[roles] = frame if is_whole else None
        return self._frames[roles]

    def _rendered(self, turns: Sequence[tuple[str, str]]) -> str:
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except Exception as error:  # whatever a template does
            line = " ".join(str(error).split())[:200]
            raise ModelError(f"The chat template of {self._name} cannot be applied: {line}", parameter="template") from error

    def _pieces(self, text: str) -> list[int | str]:
        """Special tokens of a frame as ids, and what is between them."""
        pieces: list[int | str] = []
        end = 0
        encoding = self._recognizing.encode(text, add_special_tokens=False)
        for token, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True):
            if token in self._added and text[start:stop].strip() == self._added[token].strip():
                pieces += [text[end:start], token]
                end = stop
        return [piece for piece in [*pieces, text[end:]] if piece != ""]

    def _as_text(self, text: str) -> list[int]:
        """Ids of a text in which nothing is special."""
        ids = list(self._plain.encode(text, add_special_tokens=False).ids)
        if len(text) < 2 or not any(token in self._structural and self._added[token] in text for token in ids):
            return ids
        # A vocabulary of words or of likely pieces holds the name itself: halves of it are none.
        return self._as_text(text[: len(text) // 2]) + self._as_text(text[len(text) // 2 :])

    @functools.cached_property
    def _added(self) -> dict[int, str]:
        return {int(token): str(added.content) for token, added in self._tokenizer.added_tokens_decoder.items()}

    @functools.cached_property
    def _structural(self) -> frozenset[int]:
        """Added tokens; the one for characters that are not known counts where no text is without it."""
        unknown = self._tokenizer.unk_token_id
        made = unknown is not None and unknown in self._plain.encode("\U0010fffd", add_special_tokens=False).ids
        return frozenset(set(self._added) - {unknown} if made else self._added)

    @functools.cached_property
    def _recognizing(self) -> Any:
        """The tokenizer without padding and truncation, which are the caller's."""
        own = self._tokenizer.backend_tokenizer
        copied = type(own).from_str(own.to_str())
        copied.no_truncation()
        copied.no_padding()
        return copied

    @functools.cached_property
    def _plain(self) -> Any:
        """The same, but names of added tokens are text."""
        document = json.loads(self._recognizing.to_str())
        for added in document["added_tokens"]:
            added["special"] = True  # those that are not would be recognized all the same
        plain = type(self._recognizing).from_str(json_text(document))
        plain.encode_special_tokens = True
        return plain


def _places(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(role, _PLACE.format(number)) for number, (role, _) in enumerate(turns)]


def _without_system(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the system says, before what the first user says."""
    said = [content for role, content in turns if role == "system"]
    others = [turn for turn in turns if turn[0] != "system"]
    first = next((number for number, (role, _) in enumerate(others) if role == "user"), None)
    if said and first is not None:
        others[first] = ("user", "\n\n".join([*said, others[first][1]]))
        return others
    return list(turns)
