"""A new decoder: it knows nothing, depends on its seed alone, and looks only back."""

import math

import numpy as np
import pytest
import torch

from lexframe.training.language_model.network import build_model


def test_a_new_model_knows_nothing(make_plan, tokenizer, tokens_file):
    model = build_model(make_plan(), tokenizer)
    ids = torch.from_numpy(np.load(tokens_file)[:1024].astype(np.int64)).view(-1, 64)
    with torch.no_grad():
        assert model(ids, labels=ids).loss.item() == pytest.approx(math.log(len(tokenizer)), abs=0.1)


def test_building_a_model_leaves_the_random_state(make_plan, tokenizer):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = build_model(make_plan(), tokenizer).state_dict()
    assert torch.equal(torch.rand(3), expected)
    again, other = (build_model(make_plan(seed=seed), tokenizer).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


def test_later_tokens_do_not_change_earlier_logits(make_plan, tokenizer):
    model = build_model(make_plan(), tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():  # the zero projections would hide attention
            parameter.normal_(std=0.3)
        ids = torch.arange(20)[None] + 40
        changed = ids.clone()
        changed[0, 12:] += 30
        before, after = model(ids).logits[0], model(changed).logits[0]
    assert torch.equal(before[:12], after[:12])
    assert not torch.allclose(before[12:], after[12:])
