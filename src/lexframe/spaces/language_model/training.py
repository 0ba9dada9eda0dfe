"""A language model whose weights can be trained: a copy, read as the space reads it, or one that scores texts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces.base import VocabularySpace
from lexframe.spaces.base.training import GradientSpace, TrainableSpace, VocabularyNetwork
from lexframe.spaces.language_model.layers import find_blocks, read_states, text_config
from lexframe.spaces.language_model.output_head import output_embeddings
from lexframe.spaces.language_model.reading import ModelReader
from lexframe.spaces.language_model.sequence_network import LanguageModelSequences
from lexframe.spaces.pooling import pooling_function
from lexframe.spaces.tokenization import Batch, TokenizedText
from lexframe.spaces.weights import float32_copy


class LanguageModelNetwork(VocabularyNetwork):
    """A copy of a language model, read at the layer and with the pooling of its space.

    Parameters
    ----------
    space : VocabularySpace
        Over the copy.
    reader : ModelReader
        Of that space.
    layer : int
        Counted from the front.
    pooling : str
    """

    def __init__(self, space: VocabularySpace, reader: ModelReader, *, layer: int, pooling: str):
        super().__init__(reader.model)
        self.space = space
        self._reader, self._layer, self._pool = reader, layer, pooling_function(pooling)
        self._head = reader.head  # found and checked now, before anything is changed or added

    @property
    def blocks(self) -> nn.ModuleList:
        """Those below the layer."""
        return find_blocks(self.body)[: self._layer]

    @property
    def width(self) -> int:
        """The model's hidden size."""
        return int(text_config(self.body).hidden_size)

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Texts within the template of the space."""
        return self._reader.tokenization(texts)

    def batch(self, texts: Sequence[TokenizedText]) -> Batch:
        """Ids padded on the right, with their masks."""
        return self._reader.batch(texts)

    def forward(self, batch: Batch) -> Tensor:
        """Pooled states of the layer."""
        states = read_states(self.body, batch.ids, batch.mask, [self._layer])[self._layer]
        return self._pool(states.float(), batch.mask, batch.span)

    def logits(self, points: Tensor, ids: Tensor) -> Tensor:
        """Logits of some items; their rows are read anew each time, as training may move them."""
        bias = self._head.bias
        head = replace(self._head, weight=self._head.weight[ids], bias=None if bias is None else bias[ids])
        return head.logits(head.head_input(points, inner=self._layer < self._reader.n_layers))


class TrainableLanguageModel(TrainableSpace, GradientSpace):
    """What a space over a language model hands out copies with."""

    model: Any
    tokenizer: Any
    layer: int
    pooling: str
    _reader: ModelReader

    def trainable_copy(self) -> LanguageModelNetwork:
        """A copy of the model in float32, read at the layer and with the pooling of this space."""
        options: dict[str, Any] = {name: getattr(self, name) for name in ("layer", "pooling", "max_length", "truncation")}
        open_like: Any = type(self)
        copied = open_like(float32_copy(self.model), tokenizer=self.tokenizer, template=str(self._reader.tokenization.template), **options)
        return LanguageModelNetwork(copied, copied._reader, layer=self.layer, pooling=self.pooling)

    def sequence_network(self, *, precision: str = "float32", shared: bool = False) -> LanguageModelSequences:
        """A copy of the model in float32 that scores texts; see :meth:`GradientSpace.sequence_network`."""
        if precision not in ("float32", "bfloat16"):
            raise InputError(f"precision is {precision!r}; expected float32 or bfloat16.", parameter="precision")
        if output_embeddings(self.model) is None:
            raise ModelError(f"{type(self.model).__name__} has no head over a vocabulary and finds no text probable. Use a language model.")
        is_causal: bool = getattr(self, "predicts_next_token", False)
        return LanguageModelSequences(
            float32_copy(self.model, shared=shared),
            self.tokenizer,
            is_causal=is_causal,
            max_length=int(self.max_length or 0),
            together=self._reader.together,
            precision=precision,
        )
