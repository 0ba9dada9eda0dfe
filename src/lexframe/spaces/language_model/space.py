"""Any layer of any transformers language model as a space."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from lexframe.exceptions import InputError, ModelError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import (
    ChatSpace,
    HeadSpace,
    Intervention,
    NextTokenSpace,
    OpenableSpace,
    Progress,
    PromptSpace,
    Representation,
    TokenStates,
    resolve_layer,
)
from lexframe.spaces.batching import Together
from lexframe.spaces.decoding import Decoding
from lexframe.spaces.gguf.origin import source_of
from lexframe.spaces.language_model.chat import LanguageModelChat
from lexframe.spaces.language_model.generation import write_on
from lexframe.spaces.language_model.heads import LanguageModelHeads, moves_hash
from lexframe.spaces.language_model.interventions import intervening
from lexframe.spaces.language_model.layers import evaluation_mode, longest_input
from lexframe.spaces.language_model.lens import LanguageModelLens
from lexframe.spaces.language_model.next_tokens import LanguageModelNextTokens
from lexframe.spaces.language_model.opening import open_language_model, refuse_packed
from lexframe.spaces.language_model.output_head import output_embeddings
from lexframe.spaces.language_model.reading import ModelReader
from lexframe.spaces.language_model.training import TrainableLanguageModel
from lexframe.spaces.pooling import pooling_function
from lexframe.spaces.templates import CHAT, PLACEHOLDER, Template, chat_template, turn_end
from lexframe.spaces.tokenization import Tokenization, tokenizer_hash
from lexframe.spaces.weights import KnownHash
from lexframe.typing import Points


class LanguageModelSpace(HeadSpace, PromptSpace, NextTokenSpace, ChatSpace, TrainableLanguageModel, OpenableSpace):
    """A layer of a causal or masked language model, with its vocabulary.

    Neither the model nor the tokenizer that is passed in is changed: no padding side, no mode, no hook stays.

    Parameters
    ----------
    model : str or transformers.PreTrainedModel
        ``"embedded"``, a local folder, a GGUF file, a hub id such as ``"gpt2"``, or a loaded model.
    tokenizer : PreTrainedTokenizerFast, optional
        Needed with a loaded model; otherwise the one in the model's folder.
    layer : int
        0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
    pooling : {"last", "mean", "first", "span", "typical"}
        How the states of a text's tokens become one point: ``span`` is the mean over the tokens of the text without its template, or of
        the character ranges given to `encode`; ``typical`` the mean without states eight times as long as the median of the text.
    template : str
        Text around each text, with ``{text}`` once; ``last`` pooling reads after it. ``chat`` is what the tokenizer's own chat template
        puts around what a user says, up to where the assistant begins.
    chat : bool
        Put the tokenizer's own chat template around the template: it is what the user says, and texts are written as the answer.
    max_length : int, optional
        Most tokens of a text, template included. Default: what the model takes.
    truncation : {"right", "left"}
        The side of a longer text that is cut off; the template always stays.
    dtype : {"float32", "bfloat16", "float16"}
        Precision of the forward pass of a model named by a string; a loaded model keeps its own.
    device : str or torch.device, optional
        Default: the first GPU if there is one, else the CPU; a loaded model stays where it is.
    revision : str, optional
        Of a hub model.
    trust_remote_code : bool
        Run Python code that a model brings along.

    Notes
    -----
    Points are float32 whatever the model's precision. In float32 they equal its own `output_hidden_states` to 1e-5, for any batch size.
    """

    kind = "language-model"

    def __init__(
        self,
        model: Any = "embedded",
        *,
        tokenizer: Any = None,
        layer: int = -1,
        pooling: str = "last",
        template: str = PLACEHOLDER,
        chat: bool = False,
        max_length: int | None = None,
        truncation: str = "right",
        dtype: str = "float32",
        device: str | torch.device | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
    ):
        if isinstance(model, str):
            self.model_name = model
            model, tokenizer = open_language_model(
                model, tokenizer=tokenizer, device=device, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code
            )
        else:
            if tokenizer is None:
                raise InputError("A loaded model needs its tokenizer: pass tokenizer=AutoTokenizer.from_pretrained(...).")
            self.model_name = getattr(model.config, "name_or_path", "") or type(model).__name__
        refuse_packed(model)
        self.model: nn.Module = model
        self.tokenizer, self.pooling = tokenizer, pooling
        pooling_function(pooling)  # refuses an unknown one now rather than at the first text
        limit = longest_input(model, tokenizer)
        if max_length is not None and not 1 <= max_length <= limit:
            raise InputError(f"max_length is {max_length}, but {self.model_name} takes 1 to {limit} tokens.")
        if chat or template == CHAT:
            template = chat_template(tokenizer, self.model_name, PLACEHOLDER if template == CHAT else template)
        self.tokenization = Tokenization(tokenizer, template=template, max_length=max_length or limit, truncation=truncation)
        self._weights_hash = KnownHash(model)
        self._reader = ModelReader(self.model_name, model, self.tokenization)
        self.layer = resolve_layer(layer, self._reader.n_layers)

    @classmethod
    def recognizes(cls, model: str) -> bool:
        """Everything that no other kind recognizes: the name of a model on the hub says nothing of its kind."""
        return True

    @classmethod
    def reopening(cls, fingerprint: SpaceFingerprint) -> dict[str, Any]:
        """Layer, pooling and all that decides how a text is read."""
        return {name: getattr(fingerprint, name) for name in ("layer", "pooling", "template", "max_length", "truncation", "dtype")}

    @property
    def n_layers(self) -> int:
        """Blocks of the model; layers are 0 … n_layers."""
        return self._reader.n_layers

    @cached_property
    def n_dims(self) -> int:
        """Width of the states at this layer."""
        return self.encode_layers([""], layers=[self.layer]).shape[-1]

    @property
    def n_vocab(self) -> int:
        """Vocabulary items up to the last that the tokenizer knows; rows behind it only pad the head."""
        return self._reader.n_vocab

    @property
    def fingerprint(self) -> SpaceFingerprint:
        """Weights and tokenizer by hash, layer, pooling, template, length, side of truncation and precision; moves, while there are any."""
        return SpaceFingerprint(
            kind=type(self).__name__,
            model=self.model_name,
            weights=self._weights_hash(),
            tokenizer=self._tokenizer_hash,
            layer=-1 if self.layer == self.n_layers else self.layer,
            pooling=self.pooling,
            template=str(self.tokenization.template),
            max_length=self.tokenization.max_length,
            truncation=self.tokenization.truncation,
            dtype=str(next(self.model.parameters()).dtype).removeprefix("torch."),
            moves=moves_hash(self.model),
            source=source_of(self.model),
        )

    @cached_property
    def _tokenizer_hash(self) -> str:
        return tokenizer_hash(self.tokenizer)

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int | None = None,
        progress: Progress = iter,
        spans: Sequence[tuple[int, int]] | None = None,
    ) -> Points:
        """Points of `texts` at this layer; see :meth:`Space.encode`. `spans` are character ranges, one a text, for ``span`` pooling."""
        return self.encode_layers(texts, layers=[self.layer], batch_size=batch_size, progress=progress, spans=spans)[:, 0]

    def encode_layers(
        self,
        texts: Sequence[str],
        *,
        layers: Sequence[int],
        batch_size: int | None = None,
        progress: Progress = iter,
        spans: Sequence[tuple[int, int]] | None = None,
    ) -> Float[np.ndarray, "n_texts n_layers n_dims"]:
        """Points of several layers, pooled as this space pools, in one pass that stops at the deepest.

        Parameters
        ----------
        texts : sequence of str
            Any number, none included.
        layers : sequence of int
            0 is the embedding output, k the output of block k, -1 the last state, after the final norm.
        batch_size : int, optional
            Texts in one forward pass; texts of like length go together. Default: as many as fit so many tokens.
        progress : callable
            Wraps the iteration over batches.
        spans : sequence of (int, int), optional
            Character ranges, one a text, for ``span`` pooling.

        Returns
        -------
        ndarray of shape (n_texts, n_layers, n_dims), float32
        """
        asked = [Representation(layer, self.pooling) for layer in layers]
        return self.encode_representations(texts, asked, batch_size=batch_size, progress=progress, spans=spans)

    def encode_representations(
        self,
        texts: Sequence[str],
        representations: Sequence[Representation],
        *,
        batch_size: int | None = None,
        progress: Progress = iter,
        spans: Sequence[tuple[int, int]] | None = None,
    ) -> Float[np.ndarray, "n_texts n_representations n_dims"]:
        """Points of several layers and poolings in one pass that stops at the deepest layer, float32."""
        asked = self._reader.asked(representations)
        if len(texts):
            return self._reader.encode(texts, asked, batch_size=batch_size, progress=progress, spans=spans)
        return np.zeros((0, len(asked), self.n_dims), dtype=np.float32)

    def token_states(self, text: str, *, layers: Sequence[int] | None = None) -> TokenStates:
        """States of every token of `text`, within the template."""
        return self.token_states_of([text], layers=layers)[0]

    def token_states_of(self, texts: Sequence[str], *, layers: Sequence[int] | None = None) -> list[TokenStates]:
        """States of every token of some texts, within the template, in one pass: give texts that fit into memory together."""
        return self._reader.token_states(texts, layers)

    def truncated(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than `max_length` allows."""
        return np.array([text.truncated for text in self.tokenization(texts)], dtype=bool)

    def token_counts(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of each text as the model reads it, template and special ones included, after cutting."""
        return np.array([len(text.ids) for text in self.tokenization(texts)], dtype=np.int64)

    def unembedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """Rows of the output head for the vocabulary, without padded rows."""
        return self._reader.head.weight[: self.n_vocab].detach().float().cpu().numpy().copy()

    def embedding(self) -> Float[np.ndarray, "n_vocab n_dims"]:
        """Rows of the input embedding for the vocabulary."""
        return self.model.get_input_embeddings().weight[: self.n_vocab].detach().float().cpu().numpy().copy()  # type: ignore[operator]

    def head_input(self, points: Points) -> Points:
        """Final norm (for inner layers) and transform (for masked LMs), applied to points."""
        return self.lens.input(points, layer=self.layer)

    def logits(self, points: Points) -> Float[np.ndarray, "n_texts n_vocab"]:
        """The model's own logits at these points; at inner layers, those of the logit lens."""
        head = self._reader.head
        with evaluation_mode(self.model):
            logits = head.logits(head.head_input(self._reader.as_tensor(points), inner=self.layer < self.n_layers))
        return logits[:, : self.n_vocab].float().cpu().numpy()

    @cached_property
    def lens(self) -> LanguageModelLens:
        """The output head, for states of any layer."""
        return LanguageModelLens(self._reader)

    @cached_property
    def heads(self) -> LanguageModelHeads:
        """The attention heads of the model."""
        return LanguageModelHeads(self._reader)

    @contextmanager
    def intervened(self, interventions: Sequence[Intervention]) -> Iterator[None]:
        """Within this context states are moved while the model runs; see :meth:`SteerableSpace.intervened`."""
        resolved = [replace(each, layer=resolve_layer(each.layer, self.n_layers)) for each in interventions]
        for each in resolved:
            width = self.encode_layers([""], layers=[each.layer]).shape[-1]
            if each.vector.shape != (width,):
                raise InputError(
                    f"The vector that moves layer {each.layer} has {each.vector.size} dimensions, but states of {self.model_name} have "
                    f"{width} there. Use a direction that was found on this model."
                )
        reader = self._reader
        before, _ = reader.interventions, reader.together
        with suppress(ModelError):  # a body without a head moves as well; a head is checked against states that nobody moves
            _ = reader.head
        with intervening(self.model, resolved):
            reader.interventions = (*before, *resolved)
            try:
                yield
            finally:
                reader.interventions = before

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 40,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> list[str]:
        """What the model writes after each prompt; see :meth:`SteerableSpace.generate`."""
        bare = Tokenization(self.tokenizer, max_length=self.max_length, truncation="left", open_end=True)
        bare.template = self.template  # set, not parsed: see prompt_reader
        return write_on(
            self.model,
            self.tokenizer,
            [text.ids for text in bare(list(prompts))],
            max_new_tokens=max_new_tokens,
            longest=self.max_length,
            stop=turn_end(self.tokenizer, self.template),
            decoding=Decoding(temperature, top_p, seed, 1 if self._reader.together is Together.ALONE else batch_size),
            progress=progress,
        )

    @property
    def together(self) -> str:
        """Which texts go through the model in one pass: ``any``, ``those of one length``, or ``none``; tried on a few tokens."""
        return self._reader.together.value

    def word_ids(self, word: str) -> tuple[int, ...]:
        """Ids of `word` as it continues a text: with a blank before it where the tokenizer marks word beginnings."""
        return self._reader.word_ids(word)

    def token_texts(self, ids: Iterable[int]) -> list[str]:
        """What vocabulary items look like in a text, blanks included."""
        return self._reader.token_texts(ids)

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(self._reader.device)

    @property
    def model_type(self) -> str:
        """Family of the model, such as ``llama``."""
        return str(getattr(self.model.config, "model_type", ""))

    def networks(self) -> tuple[nn.Module, ...]:
        """The model."""
        return (self.model,)

    @property
    def template(self) -> Template:
        """What stands around each text."""
        return self.tokenization.template

    @property
    def max_length(self) -> int:
        """Tokens after which a text is cut, those of the template included."""
        return self.tokenization.max_length

    @property
    def truncation(self) -> str:
        """The side of a longer text that is cut off."""
        return self.tokenization.truncation

    @property
    def predicts_next_token(self) -> bool:
        """Whether it has a head, and neither its class nor its configuration is that of a masked language model."""
        names = (type(self.model).__name__, *(getattr(self.model.config, "architectures", None) or ()))
        return output_embeddings(self.model) is not None and not any("ForMaskedLM" in name for name in names)

    def prompt_reader(self, template: Template | None = None, *, truncation: str = "left") -> "LanguageModelSpace":
        """A second space on the same loaded model, at its last state; see :meth:`PromptSpace.prompt_reader`."""
        reader = LanguageModelSpace(self.model, tokenizer=self.tokenizer, max_length=self.max_length, truncation=truncation)
        if template is not None:  # set, not parsed: a demonstration that holds "{text}" is text like any other
            reader.tokenization.template = template
        return reader

    def prompt_lengths(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of each text as it stands, special tokens included; nothing is cut."""
        return np.array([len(text.ids) for text in Tokenization(self.tokenizer, max_length=sys.maxsize)(list(texts))], dtype=np.int64)

    @property
    def next_tokens(self) -> LanguageModelNextTokens:
        """The model, read at every position of a document."""
        return LanguageModelNextTokens(self.model, self.tokenizer)

    @cached_property
    def chat_model(self) -> LanguageModelChat:
        """The model, in conversations with its tokenizer's chat template."""
        return LanguageModelChat(self.model, self.tokenizer, name=self.model_name, max_length=self.max_length)
