"""Log-probabilities of sequences one token at a time, and a model whose answers are a table to look them up in."""

import math
from types import SimpleNamespace

import numpy as np
import torch
import transformers as tf
from torch import nn

from tests.tiny_models import tiny_tokenizer


class Bigram(nn.Module):
    """A language model whose next-token log-probabilities are a table, to be looked up by hand."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(torch.as_tensor(table, dtype=torch.float32))
        self.config = tf.PretrainedConfig()
        self.layers = nn.ModuleList([nn.Identity()])  # a model has blocks that hand states on

    def get_input_embeddings(self):
        return SimpleNamespace(num_embeddings=len(self.table))

    def forward(self, input_ids, attention_mask=None, use_cache=False, logits_to_keep=slice(None)):
        states = self.layers[0](self.table[input_ids])
        return SimpleNamespace(logits=states[:, logits_to_keep], last_hidden_state=states)


def bigram_table(seed=0, size=300):
    return torch.log_softmax(torch.from_numpy(np.random.default_rng(seed).normal(size=(size, size))), dim=1).numpy()


def ids_of(text, *, separator=0):
    return [separator, *tiny_tokenizer()(text, add_special_tokens=False)["input_ids"]]


def slow_log_probability(model, ids, *, context, stride):
    """One token at a time: the first window of the series that holds an input is the one that its successor is scored in."""
    total = 0.0
    for position in range(len(ids) - 1):
        start = stride * max(0, math.ceil((position + 1 - context) / stride))
        with torch.no_grad():
            logits = model(torch.tensor([ids[start : position + 1]])).logits[0, -1]
        total += torch.log_softmax(logits.double(), 0)[ids[position + 1]].item()
    return total
