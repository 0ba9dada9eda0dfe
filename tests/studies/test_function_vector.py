"""Function vectors against sums and forward passes by hand, and on the trained toy against as many random heads."""

import json

import numpy as np
import pytest
import torch

from lexframe.exceptions import InputError
from lexframe.instruments import Task
from lexframe.instruments.patching.answer_scores import first_tokens
from lexframe.instruments.patching.task import draw_dummies, draw_prompts
from lexframe.studies import HeadEffects, HeadStudySize, function_vector_study, head_effects, mean_head_outputs, vector_of_heads
from tests.tiny_models import tiny_space

PAIRS = tuple(zip("abcdefghijkl", "bcdefghijklm", strict=True))
NEXT = Task("next", PAIRS)
SAME = Task("same", tuple((source, source) for source, _ in PAIRS))


def test_mean_outputs_are_those_of_the_prompts_drawn():
    space = tiny_space("gpt2")
    found = mean_head_outputs(space, NEXT, n_shots=2, n_prompts=4, seed=1)
    prompts = draw_dummies(NEXT, PAIRS, n_shots=2, n_prompts=4, rng=np.random.default_rng(1))
    np.testing.assert_allclose(found, np.mean([space.heads.outputs([prompt])[0] for prompt in prompts], axis=0), atol=1e-5)


def test_the_vector_of_all_heads_of_a_layer_is_what_the_projection_makes_of_them(rng):
    space = tiny_space("gpt2")
    means = rng.normal(size=(3, 4, 8)).astype(np.float32)
    weight = space.model.transformer.h[1].attn.c_proj.weight.detach().numpy()
    np.testing.assert_allclose(vector_of_heads(space, means, [(2, head) for head in range(4)]), means[1].ravel() @ weight, atol=1e-4)
    np.testing.assert_allclose(vector_of_heads(space, means, [(2, 3)]), means[1, 3] @ weight[24:], atol=1e-4)
    with pytest.raises(InputError, match="no head 4 in layer 1"):
        vector_of_heads(space, means, [(1, 4)])


def test_an_effect_is_the_rise_of_the_answers_probability(rng):
    """The head's part of the projection's input is overwritten by a hook of the test."""
    space = tiny_space("llama")  # whose answers depend on the demonstrations even untrained
    means = rng.normal(size=(3, 4, 8)).astype(np.float32) * 10
    found = head_effects(space, NEXT, means, n_shots=3, n_prompts=4, seed=5)
    draws = np.random.default_rng(5)
    asked = [PAIRS[row] for row in draws.integers(0, len(PAIRS), 4)]
    prompts = draw_prompts(NEXT, [source for source, _ in asked], PAIRS, n_shots=3, rng=draws, shuffled=True)
    ids = first_tokens(space, [target for _, target in asked])

    def probability():
        shares = []
        for prompt, item in zip(prompts, ids, strict=True):
            with torch.no_grad():
                logits = space.model(torch.tensor([space.token_states(prompt, layers=[0]).ids])).logits[0, -1, : space.n_vocab]
            shares.append(float(logits.double().softmax(-1)[item]))
        return np.mean(shares)

    plain = probability()

    def overwrite(module, args):
        state = args[0].clone()
        state[:, -1, 16:24] = torch.from_numpy(means[1, 2])
        return (state,)

    hook = space.model.model.layers[1].self_attn.o_proj.register_forward_pre_hook(overwrite)
    try:
        expected = probability() - plain
    finally:
        hook.remove()
    np.testing.assert_allclose(found[1, 2], expected, rtol=2e-3)
    assert abs(expected) > 1e-5


def test_heads_are_ranked_by_their_mean_effect_and_a_task_can_be_left_out():
    effects = HeadEffects(np.array([[[0.0, 0.9], [0.1, 0.2]], [[0.4, 0.0], [0.1, 0.3]]]), ("a", "b"))
    assert effects.top(2) == ((1, 1), (2, 1))
    assert effects.top(2, without="a") == ((1, 0), (2, 1))


def test_more_heads_than_can_be_matched_are_refused():
    with pytest.raises(InputError, match="expected 1 to 6"):
        function_vector_study(tiny_space("gpt2"), [NEXT, SAME], size=HeadStudySize(n_top=7))


def test_spaces_whose_heads_cannot_be_read_are_refused(without_type_checks):
    with pytest.raises(InputError, match="does not write"):
        function_vector_study(tiny_space("bert"), [NEXT, SAME], size=HeadStudySize(n_top=2))


@pytest.fixture(scope="module")
def study(toy):
    return function_vector_study(toy.space(), toy.tasks(), size=HeadStudySize(n_top=3, n_prompts=40, n_splits=2))


def test_few_heads_carry_the_task_and_random_ones_do_not(study):
    result, effects = study
    vector, random = result.score("function vector").accuracy, result.score("random heads").accuracy
    assert vector.low > result.score("zero-shot").accuracy.high
    assert vector.low > random.high
    assert effects.effects.shape == (8, 3, 4)
    # The task is planted into the state that enters the third block, so the second block's heads bring it.
    assert effects.top(1)[0][0] == 2


def test_the_vector_of_another_task_brings_the_other_tasks_answers(study):
    other = study[0].score("other task")
    assert other.other_accuracy.value > 0.6 > other.accuracy.value


def test_shuffled_prompts_are_mended(study):
    result = study[0]
    assert result.score("shuffled prompts + vector").accuracy.value > result.score("shuffled prompts").accuracy.value + 0.2
    assert json.dumps(result.to_dict())
