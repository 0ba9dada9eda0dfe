"""A causal language model that answers conversations: it writes, held to a grammar or free, or says how probable answers are."""

import copy
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from jaxtyping import Int
from torch import nn

from lexframe.exceptions import InputError
from lexframe.spaces.base.chat import ChatModel, ChoiceQuestion, Conversation, Scored, Written
from lexframe.spaces.batching import Together
from lexframe.spaces.decoding import Decoding
from lexframe.spaces.language_model.beginnings import by_beginning, read_once
from lexframe.spaces.language_model.chat_prompts import ChatPrompts
from lexframe.spaces.language_model.choice_scores import common_length, continuation_scores
from lexframe.spaces.language_model.constrained import Constraint, Grammars
from lexframe.spaces.language_model.generation import as_asked, batches, own_ends, require_writer, written_tokens
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.language_model.neighbors import together
from lexframe.spaces.language_model.prefix import Prefix
from lexframe.spaces.templates import Template, chat_template, turn_end
from lexframe.spaces.token_texts import written_after


class LanguageModelChat(ChatModel):
    """A model of transformers with its tokenizer, which stay as they are.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model.
    tokenizer : PreTrainedTokenizerFast
        With a chat template.
    name : str
        Of the model, for messages.
    max_length : int
        Tokens of prompt and answer together.

    Raises
    ------
    ModelError
        If the tokenizer has no chat template.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, *, name: str, max_length: int):
        self._model, self._tokenizer, self._name, self._max_length = model, tokenizer, name, max_length
        self._prompts = ChatPrompts(tokenizer, name)
        end = turn_end(tokenizer, Template.parse(chat_template(tokenizer, name)))
        # Where turns end with no token of their own, texts end as they do elsewhere.
        ends = [end, *own_ends(model), tokenizer.eos_token_id]
        self._ends = list(dict.fromkeys(token for token in ends if token is not None))

    @property
    def max_length(self) -> int:
        """Most tokens of prompt and answer, as the space says."""
        return self._max_length

    def prompt_ids(self, conversation: Conversation) -> Int[np.ndarray, " n_tokens"]:
        """Ids up to where the assistant begins; see :meth:`ChatModel.prompt_ids`."""
        return self._prompts.ids(conversation)

    def write(
        self,
        conversations: Sequence[Conversation],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        grammars: Sequence[tuple[str, str] | None] | None = None,
        batch_size: int = 8,
    ) -> Iterator[Written]:
        """Answer conversations; see :meth:`ChatModel.write`."""
        require_writer(self._model, max_new_tokens)
        decoding = Decoding(temperature)
        seeds = [0] * len(conversations) if seeds is None else seeds
        grammars = [None] * len(conversations) if grammars is None else grammars
        _require_one_each(len(conversations), seeds=len(seeds), grammars=len(grammars))
        prompts = [self.prompt_ids(conversation) for conversation in conversations]
        for number, ids in enumerate(prompts):
            if len(ids) >= self._max_length:
                raise InputError(
                    f"Conversation number {number} has {len(ids)} tokens, which leaves {self._name} no room to answer: it takes "
                    f"{self._max_length}. Shorten it."
                )
        known = Grammars(self._tokenizer, self._ends) if any(grammars) else None
        matchers = [None if known is None or grammar is None else known.matcher(grammar) for grammar in grammars]
        # An answer that is drawn goes alone: what is drawn for one row depends on the rows beside it.
        most = batch_size if decoding.is_greedy and together(self._model) is not Together.ALONE else 1
        for group in by_beginning(prompts):
            started = perf_counter()
            prefix = read_once(self._model, [prompts[place] for place in group])
            for batch in batches([prompts[place] for place in group], most):
                places = [group[row] for row in batch]
                drawn = Decoding(temperature, seed=seeds[places[0]])
                answers = self._answers(
                    [prompts[place] for place in places],
                    prefix,
                    decoding=drawn,
                    most=max_new_tokens,
                    matchers=[matchers[p] for p in places],
                )
                seconds = (perf_counter() - started) / len(places)
                for place, answer in zip(places, answers, strict=True):
                    ends = [number for number, token in enumerate(answer) if token in self._ends]
                    said = answer[: ends[0]] if ends else answer
                    text = written_after(self._tokenizer, prompts[place].tolist(), said)
                    yield Written(place, text, len(prompts[place]), len(said) + bool(ends), seconds)
                started = perf_counter()  # what is done with an answer is not the model's time

    def _answers(
        self, prompts: Sequence[np.ndarray], prefix: Prefix | None, *, decoding: Decoding, most: int, matchers: Sequence[Any]
    ) -> list[list[int]]:
        """Tokens written after prompts of one length."""
        more: dict[str, Any] = {}
        if prefix is not None:
            more["past_key_values"] = copy.deepcopy(prefix.memory)
            more["past_key_values"].batch_repeat_interleave(len(prompts))
        if any(matcher is not None for matcher in matchers):
            more["logits_processor"] = [Constraint(matchers, self._ends)]
        most = min(most, self._max_length - len(prompts[0]))
        with evaluation_mode(self._model), as_asked(self._model):
            return written_tokens(self._model, self._tokenizer, prompts, most=most, decoding=decoding, ends=self._ends, **more)

    def score(self, questions: Sequence[ChoiceQuestion], *, batch_size: int = 8) -> Iterator[Scored]:
        """How probable choices are; see :meth:`ChatModel.score`."""
        require_writer(self._model, 1)
        lengths, contexts, endings = [], [], []
        for number, question in enumerate(questions):
            prompt, following = self._encoded(number, question)
            n_common = common_length(following)
            lengths.append(len(prompt))
            contexts.append(np.concatenate([prompt, np.array(following[0][:n_common], dtype=np.int64)]))
            endings.append([each[n_common:] for each in following])
        for group in by_beginning(contexts):
            started = perf_counter()
            prefix = read_once(self._model, [contexts[place] for place in group])
            for batch in batches([contexts[place] for place in group], batch_size):
                places = [group[row] for row in batch]
                found = continuation_scores(
                    self._model, [contexts[place] for place in places], [endings[place] for place in places], prefix=prefix
                )
                seconds = (perf_counter() - started) / len(places)
                for place, scores in zip(places, found, strict=True):
                    yield Scored(place, scores, lengths[place], seconds)
                started = perf_counter()

    def _encoded(self, number: int, question: ChoiceQuestion) -> tuple[np.ndarray, list[list[int]]]:
        """Ids of the prompt, and of each answer with the end of the turn, without which "new" would be part of "news"."""
        if not question.choices:
            raise InputError(f"Question number {number} has no choices. Give one at least.")
        prompt = self.prompt_ids(question.conversation)
        following = [
            [*self._prompts.ids_after(question.conversation, question.lead + choice), *self._ends[:1]] for choice in question.choices
        ]
        if not all(following):
            raise InputError(
                f"Question number {number} has an empty answer, and no token of {self._name} ends one. Give choices with text."
            )
        longest = len(prompt) + max(map(len, following))
        if longest > self._max_length:
            raise InputError(
                f"Question number {number} has {longest} tokens with its longest choice, but {self._name} takes {self._max_length}. "
                "Shorten it."
            )
        return prompt, following


def _require_one_each(n_conversations: int, **given: int) -> None:
    for name, number in given.items():
        if number != n_conversations:
            raise InputError(f"{number} {name} were given for {n_conversations} conversations. Give one each.")
