"""Holding what a model writes to a grammar: tokens with which no answer that matches can go on are never taken."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from lexframe.exceptions import InputError, MissingExtraError, ModelError

KINDS = ("regex", "lark")
_KNOWN: "WeakKeyDictionary[Any, dict[tuple[int, ...], Any]]" = WeakKeyDictionary()


class Grammars:
    """Grammars over the tokens of a tokenizer, each of which is compiled once.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Read only; what is worked out about it is kept as long as it lives.
    ends : sequence of int
        Tokens that end an answer, allowed where the answer matches.

    Raises
    ------
    MissingExtraError
        If llguidance is not installed.
    ModelError
        If no token of the tokenizer ends an answer.
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int]):
        try:
            import llguidance
            import llguidance.hf
        except ImportError as error:
            raise MissingExtraError("llguidance", "verbal") from error
        n_vocab = len(tokenizer)
        self._ends = tuple(sorted({token for token in ends if 0 <= token < n_vocab}))
        if not self._ends:
            raise ModelError(f"No token of {type(tokenizer).__name__} ends an answer, so none can be held to a grammar.")
        known = _KNOWN.setdefault(tokenizer, {})
        key = (n_vocab, *self._ends)
        if key not in known:
            try:
                known[key] = llguidance.hf.from_tokenizer(tokenizer, eos_token=list(self._ends))
            except Exception as error:  # whatever it does not understand about a tokenizer
                line = " ".join(str(error).split())[:200]
                raise ModelError(
                    f"llguidance cannot read {type(tokenizer).__name__} ({line}). Ask for answers without a grammar."
                ) from error
        self._matchers, self._tokens = llguidance.LLMatcher, known[key]
        self._compiled: dict[tuple[str, str], Any] = {}

    def matcher(self, grammar: tuple[str, str]) -> Any:
        """What follows one answer, from its beginning.

        Parameters
        ----------
        grammar : (str, str)
            ``("regex", expression)``, without look-around, or ``("lark", grammar)``; the whole answer matches it.

        Raises
        ------
        InputError
            If it is not valid.
        """
        if grammar not in self._compiled:
            kind, text = grammar
            if kind not in KINDS:
                raise InputError(f"A grammar is of kind {kind!r}; expected {' or '.join(KINDS)}.")
            made = self._matchers.grammar_from_regex(text) if kind == "regex" else self._matchers.grammar_from_lark(text)
            compiled = self._matchers(self._tokens, made, log_level=0)
            if compiled.is_error():
                line = " ".join(compiled.get_error().split())[:200]
                raise InputError(f"The {kind} {text[:80]!r} is not valid: {line}", parameter="grammar")
            self._compiled[grammar] = compiled
        return self._compiled[grammar].deep_copy()


class Constraint:
    """A logits processor for ``generate``: one matcher a row, or None for a row that is free.

    Parameters
    ----------
    matchers : sequence of LLMatcher or None
        At the beginning of their answers.
    ends : sequence of int
        Tokens after which an answer is over.

    Notes
    -----
    A mask cannot see how many tokens are left: an answer that is cut by the number of its tokens is the beginning of one that matches.
    """

    def __init__(self, matchers: Sequence[Any], ends: Sequence[int]):
        self._matchers, self._ends = list(matchers), frozenset(ends)
        self._is_first = True

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores with minus infinity for tokens that must not follow.

        Parameters
        ----------
        input_ids : Tensor of shape (n_rows, n_tokens)
            What was read and written so far.
        scores : Tensor of shape (n_rows, n_vocab)
        """
        newest = [None] * len(input_ids) if self._is_first else input_ids[:, -1].tolist()
        self._is_first = False
        for row, (matcher, token) in enumerate(zip(self._matchers, newest, strict=True)):
            if token in self._ends:  # what comes after it only pads
                self._matchers[row] = None
            if self._matchers[row] is None:
                continue
            if token is not None:
                matcher.consume_token(token)
            allowed = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little").astype(bool)
            if matcher.is_error():
                line = " ".join(matcher.get_error().split())[:200]
                raise InputError(f"The grammar cannot be followed: {line}. Write a simpler one.", parameter="grammar")
            forbidden = np.ones(scores.shape[1], dtype=bool)
            forbidden[: len(allowed)] = ~allowed[: scores.shape[1]]
            scores[row, torch.from_numpy(forbidden).to(scores.device)] = -torch.inf
        return scores
