"""Models that nobody has published, to try what is found by running a model."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class MadeUpModel(nn.Module):
    """An embedding, blocks that add something of each token, a norm and a head; and whatever a test has neighbors do.

    Parameters
    ----------
    leak : callable, optional
        What each block adds beside, of all states (n_texts, n_tokens, n_dims).
    """

    base_model_prefix = "inner"

    def __init__(self, leak: Any = None):
        super().__init__()
        torch.manual_seed(0)
        self.config = _Configuration()
        self.inner = MadeUpBody(leak)
        self.unembedding = nn.Linear(16, 320, bias=False)

    def get_input_embeddings(self) -> nn.Module:
        return self.inner.words

    def get_output_embeddings(self) -> nn.Module:
        return self.unembedding

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        return SimpleNamespace(logits=self.unembedding(self.inner(input_ids).last_hidden_state))


class MadeUpBody(nn.Module):
    """Two lists of three modules, of which only the second by name is blocks; the first is called on something else."""

    def __init__(self, leak: Any):
        super().__init__()
        self.words = nn.Embedding(320, 16)
        self.adapters = nn.ModuleList([nn.Linear(16, 16) for _ in range(3)])
        self.stack = nn.ModuleList([_Block(leak) for _ in range(3)])
        self.the_end = nn.LayerNorm(16)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Any:
        states = self.words(input_ids)
        states = states + sum(adapter(states) for adapter in self.adapters)
        for block in self.stack:
            states = block(states)
        return SimpleNamespace(last_hidden_state=self.the_end(states))


class _Block(nn.Module):
    def __init__(self, leak: Any):
        super().__init__()
        self.inner, self.leak = nn.Linear(16, 16), leak

    def forward(self, states: Tensor) -> Tensor:
        found = states + torch.tanh(self.inner(states))
        return found if self.leak is None else found + self.leak(states)


class _Configuration:
    num_hidden_layers, max_position_embeddings, name_or_path, model_type = 3, 64, "made-up", "made-up"

    def to_dict(self) -> dict[str, Any]:
        return {"num_hidden_layers": 3}
