"""The toy: its functions, its prompts, and what is refused. What it learns is shown where instruments are held against it."""

import numpy as np
import pytest
import torch

from lexframe.exceptions import InputError
from lexframe.studies.in_context_toy import toy_tables, train_in_context_toy
from tests.shared_toy import shared_toy


def test_functions_are_permutations_and_the_same_for_a_seed():
    tables = toy_tables(12, 3)
    assert len(tables) == 8
    assert all(sorted(table) == list(range(12)) for table in tables.values())
    assert tables["next"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]
    assert tables["mirrored next"].tolist() == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 11]
    np.testing.assert_array_equal(tables["table 2"], toy_tables(12, 3)["table 2"])


@pytest.mark.parametrize("planted_layer", [None, 1])
def test_a_few_steps_lower_the_loss_leave_the_generators_alone_and_repeat(planted_layer):
    options = {"n_layers": 2, "n_dims": 16, "n_steps": 6, "n_steps_plain": 3, "batch_size": 16, "planted_layer": planted_layer, "seed": 1}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    toy = train_in_context_toy(**options)
    torch.testing.assert_close(torch.rand(3), expected)
    assert toy.losses[2] < toy.losses[0]
    assert toy.losses == train_in_context_toy(**options).losses
    assert not any(block._forward_pre_hooks for block in toy.model.model.layers)


def test_a_toy_is_a_space_whose_tasks_are_written_in_its_symbols():
    toy = train_in_context_toy(n_layers=2, n_dims=16, n_steps=1, n_steps_plain=1, planted_layer=1)
    space, task = toy.space(), toy.tasks()[0]
    assert task.name == "next"
    assert task.pairs[0] == ("a", "b")
    states = space.token_states(task.prompt(task.pairs[:2], "c"))
    assert tuple(token.strip() for token in states.tokens) == ("a", "->", "b", "b", "->", "c", "c", "->")
    assert space.heads.n_heads == 4


@pytest.mark.parametrize(("options", "message"), [({"n_symbols": 27}, "10 to 26"), ({"n_symbols": 9}, "10 to 26"),
                                                  ({"planted_layer": 3}, "1 to 2"), ({"planted_layer": 0}, "1 to 2")])  # fmt: skip
def test_sizes_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        train_in_context_toy(**options)


def answers(toy):
    """Share of questions after nine demonstrations that are answered rightly, over all tasks."""
    space, right = toy.space(), []
    for task in toy.tasks():
        for query, answer in task.pairs[:3]:
            shown = [pair for pair in task.pairs if pair[0] != query][:9]
            states = space.token_states(task.prompt(shown, query), layers=[-1]).states[0, -1:]
            right.append(space.tokenizer.decode([int(space.logits(states).argmax())]).strip() == answer)
    return float(np.mean(right))


def test_the_kept_toy_answers_from_demonstrations(toy):
    assert answers(toy) > 0.9


@pytest.mark.long
def test_training_makes_what_is_kept(toy, tmp_path):
    """With --long the fixture is trained anew."""
    kept = shared_toy(tmp_path, anew=False)
    assert answers(toy) > 0.9
    assert abs(answers(toy) - answers(kept)) < 0.1
