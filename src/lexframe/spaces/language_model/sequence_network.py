"""A language model whose log-probabilities of texts have gradients by its weights: causal ones token by token, masked ones by hiding."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lexframe.exceptions import ModelError
from lexframe.spaces.base.training import ScoredTokens, SequenceNetwork
from lexframe.spaces.batching import Together
from lexframe.spaces.language_model.foreign import of_others
from lexframe.spaces.language_model.separator import document_separator


class LanguageModelSequences(SequenceNetwork):
    """A copy of a model of transformers, read with a head for the next token or for hidden ones.

    Parameters
    ----------
    body : PreTrainedModel
        The copy, in float32.
    tokenizer : PreTrainedTokenizerFast
        Read only.
    is_causal : bool
        Whether the head predicts the next token; otherwise one that is hidden.
    max_length : int
        Most tokens of a text.
    together : Together
        Which texts may go through the model in one pass.
    precision : {"float32", "bfloat16"}
        Of matrix products. Weights, sums and gradients are float32.
    """

    def __init__(
        self, body: nn.Module, tokenizer: Any, *, is_causal: bool, max_length: int, together: Together, precision: str = "float32"
    ) -> None:
        super().__init__(body)
        self.body.eval()
        self.tokenizer, self.is_causal, self.max_length = tokenizer, is_causal, max_length
        self.together, self.precision = together, precision
        if not is_causal and tokenizer.mask_token_id is None:
            raise ModelError(
                f"{type(body).__name__} predicts hidden tokens, but its tokenizer has none that hides. Use a causal model, such as gpt2, "
                "or the tokenizer that the model was trained with."
            )

    def tokens(self, prompts: Sequence[str], texts: Sequence[str]) -> list[ScoredTokens]:
        """See :meth:`SequenceNetwork.tokens`; a causal model reads a separator first, a masked one its special tokens around the text."""
        backend = self.tokenizer.backend_tokenizer
        if backend.truncation is not None or backend.padding is not None:  # the caller's settings stay as they are
            backend = type(backend).from_str(backend.to_str())
            backend.no_truncation()
            backend.no_padding()
        encoded = backend.encode_batch([p + t for p, t in zip(prompts, texts, strict=True)], add_special_tokens=not self.is_causal)
        separator = document_separator(self.tokenizer) if self.is_causal else None
        found = []
        for prompt, encoding in zip(prompts, encoded, strict=True):
            ids = list(encoding.ids)
            inside = zip(encoding.offsets, encoding.special_tokens_mask, strict=True)
            scored = [place for place, ((_, end), special) in enumerate(inside) if end > len(prompt) and not special]
            if self.is_causal and separator is not None and ids[:1] != [separator]:
                ids, scored = [separator, *ids], [place + 1 for place in scored]
            # What stands first is given: nothing predicts it.
            found.append(ScoredTokens(tuple(ids), tuple(place for place in scored if place > 0 or not self.is_causal)))
        return found

    def log_probabilities(self, sequences: Sequence[ScoredTokens]) -> Tensor:
        """See :meth:`SequenceNetwork.log_probabilities`."""
        score = self._next_tokens if self.is_causal else self._hidden_tokens
        groups = self._apart(sequences)
        found = [score([sequences[row] for row in rows]) for rows in groups]
        if len(groups) == 1:
            return found[0]
        order = torch.tensor([row for rows in groups for row in rows]).argsort()
        return torch.cat(found)[order.to(found[0].device)]

    def _apart(self, sequences: Sequence[ScoredTokens]) -> list[list[int]]:
        """Rows that may go through the model in one pass."""
        if self.together is Together.PADDED:
            return [list(range(len(sequences)))]
        if self.together is Together.ALONE:
            return [[row] for row in range(len(sequences))]
        by_length: dict[int, list[int]] = {}
        for row, sequence in enumerate(sequences):
            by_length.setdefault(len(sequence.ids), []).append(row)
        return list(by_length.values())

    def _next_tokens(self, sequences: Sequence[ScoredTokens]) -> Tensor:
        ids, mask = self._padded([sequence.ids[:-1] for sequence in sequences])
        rows = [row for row, sequence in enumerate(sequences) for _ in sequence.scored]
        places = [place - 1 for sequence in sequences for place in sequence.scored]
        targets = [sequence.ids[place] for sequence in sequences for place in sequence.scored]
        return self._summed(self._logits(ids, mask)[rows, places], targets, rows, len(sequences))

    def _hidden_tokens(self, sequences: Sequence[ScoredTokens]) -> Tensor:
        """Every scored token hidden in a copy of its text."""
        rows = [row for row, sequence in enumerate(sequences) for _ in sequence.scored]
        places = [place for sequence in sequences for place in sequence.scored]
        ids, mask = self._padded([sequences[row].ids for row in rows])
        copies = list(range(len(rows)))
        targets = ids[copies, places].tolist()
        ids[copies, places] = self.tokenizer.mask_token_id
        return self._summed(self._logits(ids, mask)[copies, places], targets, rows, len(sequences))

    def _padded(self, texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        longest = max(1, *map(len, texts)) if texts else 1
        ids = torch.zeros((len(texts), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text, dtype=torch.long)
            mask[row, : len(text)] = 1
        device = next(self.body.parameters()).device
        return ids.to(device), mask.to(device)

    def _logits(self, ids: Tensor, mask: Tensor) -> Tensor:
        coarse = torch.autocast(ids.device.type, torch.bfloat16) if self.precision == "bfloat16" else nullcontext()
        with of_others(self.body, f"score texts of {ids.shape[1]} tokens"), coarse:
            return self.body(input_ids=ids, attention_mask=mask).logits

    def _summed(self, logits: Tensor, targets: Sequence[int], rows: Sequence[int], n_rows: int) -> Tensor:
        wanted = torch.tensor(targets, dtype=torch.long, device=logits.device)
        nats = -nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
        return nats.new_zeros(n_rows).index_add(0, torch.tensor(rows, dtype=torch.long, device=nats.device), nats)

    @contextmanager
    def watched(self) -> Iterator[list[Tensor]]:
        """See :meth:`SequenceNetwork.watched`; the list stays empty where no module of the model is its head.

        It does too where a row of what the head reads is no text: of hidden tokens, or where texts go through the model apart.
        """
        seen: list[Tensor] = []
        head = self.body.get_output_embeddings() if self.is_causal and self.together is Together.PADDED else None

        def keep(module: nn.Module, given: tuple[Any, ...]) -> None:
            if given and isinstance(given[0], Tensor):
                seen.append(given[0])

        stop: Callable[[], None] = head.register_forward_pre_hook(keep).remove if isinstance(head, nn.Module) else (lambda: None)
        try:
            yield seen
        finally:
            stop()
