"""How probable a language model finds some texts: the perplexity of samples, a word and a token."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from torch import nn

from lexframe.checks import plain, texts_in
from lexframe.exceptions import DataError, ModelError
from lexframe.intervals import Estimate, ratio_over_items
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Progress
from lexframe.spaces.language_model.layers import longest_input
from lexframe.spaces.language_model.opening import open_causal_model
from lexframe.spaces.language_model.sequence_scores import separated_ids, sequence_log_probabilities
from lexframe.typing import Texts

if TYPE_CHECKING:
    import pandas

MAX_CONTEXT = 512


@dataclass(frozen=True, slots=True, eq=False)
class TextPerplexity(Result):
    """How probable a model finds some texts, each and together.

    Attributes
    ----------
    nats : ndarray of shape (n_texts,)
        Minus the log-probability of each text; 0 for a text without words, which is not scored.
    n_tokens, n_words : ndarray of int, shape (n_texts,)
        What was scored: tokens of the model, and what stands between blanks.
    per_token : Estimate
        Exponential of all nats over all tokens. Not comparable between tokenizers. Intervals are over texts; one text has none.
    per_word : Estimate
        Exponential of all nats over all words.
    provenance : Provenance
        With model, window and seed.
    """

    nats: Float[np.ndarray, " n_texts"]
    n_tokens: Int[np.ndarray, " n_texts"]
    n_words: Int[np.ndarray, " n_texts"]
    per_token: Estimate
    per_word: Estimate
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def n_without_words(self) -> int:
        """Texts that were not scored."""
        return int((self.n_words == 0).sum())

    def summary(self) -> str:
        """Both perplexities in a sentence."""
        model = self.provenance.parameters.get("model") or "the model"
        return (
            f"Perplexity of {len(self.nats) - self.n_without_words:,} texts under {model}: {self.per_word} a word and "
            f"{self.per_token} a token."
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain types, for JSON; of the texts only how many there are."""
        return {
            "n_texts": len(self.nats),
            "n_without_words": self.n_without_words,
            "n_tokens": int(self.n_tokens.sum()),
            "n_words": int(self.n_words.sum()),
            "perplexity_per_token": plain(self.per_token.value),
            "perplexity_per_token_interval": plain(self.per_token.interval),
            "perplexity_per_word": plain(self.per_word.value),
            "perplexity_per_word_interval": plain(self.per_word.interval),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a text."""
        import pandas as pd

        return pd.DataFrame({"nats": self.nats, "n_tokens": self.n_tokens, "n_words": self.n_words})


def language_model_perplexity(
    texts: Texts,
    model: str = "embedded",
    *,
    context: int | None = None,
    batch_tokens: int = 4096,
    seed: int = 0,
    progress: Progress = iter,
) -> TextPerplexity:
    """Perplexity of texts under a causal language model, in float32.

    See :func:`text_perplexity` for what is scored. A model that repeats one likely sentence has a low perplexity too: read it
    beside that of as many real texts, and beside a measure of diversity.

    Parameters
    ----------
    texts : sequence of str
        As they stand.
    model : str
        ``"embedded"``, a local folder, or a hub id such as ``"gpt2"``.
    context, batch_tokens, seed, progress
        See :func:`text_perplexity`.

    Returns
    -------
    TextPerplexity

    Raises
    ------
    ModelError
        If the model cannot be opened, or is no causal language model.
    DataError, InputError
        See :func:`text_perplexity`.
    """
    texts = texts_in(texts)
    weights, tokenizer = open_causal_model(model)
    return text_perplexity(weights, tokenizer, texts, name=model, context=context, batch_tokens=batch_tokens, seed=seed, progress=progress)


def text_perplexity(
    model: nn.Module,
    tokenizer: Any,
    texts: Texts,
    *,
    name: str = "",
    context: int | None = None,
    batch_tokens: int = 4096,
    seed: int = 0,
    progress: Progress = iter,
) -> TextPerplexity:
    r"""Perplexity of texts under a model that is loaded.

    Every text is scored alone, after the document separator, as in
    :func:`~lexframe.training.language_model.evaluation.bits_per_byte`: all its
    tokens count, and its end does not, since a sentence seldom ends a document. Over all texts x,
    :math:`\exp\left(-\sum_x \ln p(x) / \sum_x n_x\right)` with :math:`n_x` the tokens, or the words, of x.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model.
    tokenizer : PreTrainedTokenizerFast
        Its tokenizer; read only.
    texts : sequence of str
        As they stand, capitals and blanks included; those without words are passed over.
    name : str
        Of the model, for people.
    context : int, optional
        Longest window, in tokens; windows of longer texts overlap by half. Default: what the model takes, 512 at most.
    batch_tokens : int
        Tokens per pass through the model.
    seed : int
        Of the bootstrap.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    TextPerplexity

    Raises
    ------
    DataError
        If no text has a word.
    ModelError
        If the tokenizer has neither a beginning- nor an end-of-text token, so that no first token can be scored, or is not that of
        the model, or scores are not finite.
    InputError
        If the model cannot take so long a context.
    """
    texts = texts_in(texts)
    n_words = np.array([len(text.split()) for text in texts], dtype=np.int64)
    scored = np.flatnonzero(n_words)
    if not len(scored):
        raise DataError(f"There is no text to score: none of {len(n_words)} has a word. Give one text or more.")
    context = context if context is not None else min(MAX_CONTEXT, longest_input(model, tokenizer))
    sequences = separated_ids(tokenizer, [texts[row] for row in scored.tolist()])
    if tokenizer.bos_token_id is None and tokenizer.eos_token_id is None:
        raise ModelError(
            f"The tokenizer of {name or type(model).__name__} has neither a beginning- nor an end-of-text token, so the first token of a "
            "text has nothing before it. Set tokenizer.bos_token to what separates documents."
        )
    found = sequence_log_probabilities(
        model, sequences, context=context, stride=max(1, context // 2), batch_tokens=batch_tokens, progress=progress
    )
    nats, n_tokens = np.zeros(len(n_words)), np.zeros(len(n_words), dtype=np.int64)
    nats[scored], n_tokens[scored] = -found, [len(ids) - 1 for ids in sequences]
    per_token, per_word = (
        ratio_over_items(nats[scored], counts[scored].astype(np.float64), seed=seed).mapped(np.exp) for counts in (n_tokens, n_words)
    )
    parameters = {"model": name, "context": context}
    return TextPerplexity(nats, n_tokens, n_words, per_token, per_word, Provenance(seed=seed, parameters=parameters))
