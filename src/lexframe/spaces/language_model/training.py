"""A language model whose weights can be trained: a copy, read as the space reads it."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from lexframe.spaces.base import VocabularySpace
from lexframe.spaces.base.training import VocabularyNetwork
from lexframe.spaces.language_model.layers import find_blocks, read_states, text_config
from lexframe.spaces.language_model.reading import ModelReader
from lexframe.spaces.pooling import pooling_function
from lexframe.spaces.tokenization import Batch, TokenizedText


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
