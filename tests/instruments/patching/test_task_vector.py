"""Task vectors by hand on tiny models, and on a trained toy whose task vectors are known."""

import json

import numpy as np
import pytest
import torch

from lexframe.exceptions import InputError, VocabularyError
from lexframe.instruments import Task, composed, task_vectors, top_words
from lexframe.instruments.patching.answer_scores import answer_scores
from lexframe.instruments.patching.patch_result import PatchTally
from lexframe.instruments.patching.task import draw_dummies
from lexframe.instruments.patching.task_vector import choose_move, inner_layers, patched_scores
from lexframe.linalg import softmax
from lexframe.spaces import Intervention, ToySpace
from lexframe.studies import StudySize, task_vector_study
from tests.tiny_models import tiny_space

PAIRS = tuple(zip("abcdefghijkl", "bcdefghijklm", strict=True))
NEXT = Task("next", PAIRS)
SAME = Task("same", tuple((source, source) for source, _ in PAIRS))


def hidden(space, prompt):
    """All states of a prompt by the model's own account, layers first."""
    with torch.no_grad():
        output = space.model(torch.tensor([space.token_states(prompt, layers=[0]).ids]), output_hidden_states=True)
    return torch.stack(output.hidden_states)[:, 0].numpy()


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_a_vector_is_the_mean_state_of_the_last_token(family):
    space = tiny_space(family)
    found = task_vectors(space, NEXT, layers=[0, 2, -1], n_shots=2, n_prompts=4, seed=3)
    prompts = draw_dummies(NEXT, PAIRS, n_shots=2, n_prompts=4, rng=np.random.default_rng(3))
    expected = np.mean([hidden(space, prompt)[[0, 2, 3], -1] for prompt in prompts], axis=0)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)
    assert found.layers == (0, 2, 3)
    np.testing.assert_array_equal(found.at(2), found.vectors[1])
    with pytest.raises(InputError, match="no vector of layer 1"):
        found.at(1)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_patched_answers_are_those_of_a_forward_pass_by_hand(family, rng):
    """Blocks run one after the other, with the vector put in between; nothing of the library's hooks."""
    space, vector = tiny_space(family), rng.normal(size=32).astype(np.float32)
    model = space.model
    prompts = [NEXT.prompt((), source) for source, _ in PAIRS[:3]] + [NEXT.prompt(PAIRS[:2], "d")]
    asked = np.array([[5, 9], [40, -1], [77, 3], [120, 8]])
    blocks = model.transformer.h if family == "gpt2" else model.model.layers
    expected = []
    for prompt in prompts:
        with torch.no_grad():
            state = torch.from_numpy(hidden(space, prompt)[2:3])
            state[:, -1] = torch.from_numpy(vector)
            position = torch.arange(state.shape[1]).unsqueeze(0)
            mask = torch.full((1, 1, state.shape[1], state.shape[1]), -1e9).triu(1)
            options = {} if family == "gpt2" else {"position_embeddings": model.model.rotary_emb(state, position)}
            state = blocks[2](state, attention_mask=mask, **options)
            state = state[0] if isinstance(state, tuple) else state
            final = model.transformer.ln_f if family == "gpt2" else model.model.norm
            expected.append(model.lm_head(final(state.reshape(1, -1, 32)))[0, -1].numpy())
    logits = np.stack(expected)[:, : space.n_vocab].astype(np.float64)
    found = patched_scores(space, prompts, asked, Intervention(layer=2, vector=vector, how="replace", where="last"), batch_size=2)
    for row, column in np.ndindex(asked.shape):
        item = asked[row, column]
        if item < 0:
            assert not found.right[row, column]
            assert np.isnan(found.probability[row, column])
            assert found.rank[row, column] == -1
        else:
            np.testing.assert_allclose(found.probability[row, column], softmax(logits)[row, item], rtol=1e-3)
            assert found.rank[row, column] == (logits[row] > logits[row, item]).sum()
            assert found.right[row, column] == (logits[row].argmax() == item)


def test_the_right_answer_is_the_arg_max_of_the_whole_vocabulary():
    space = tiny_space("gpt2")
    with torch.no_grad():
        best = int(space.model(torch.tensor([space.token_states("a ->", layers=[0]).ids])).logits[0, -1, : space.n_vocab].argmax())
    scores = answer_scores(space, ["a ->", "a ->"], np.array([[best], [(best + 1) % space.n_vocab]]))
    assert scores.right[:, 0].tolist() == [True, False]
    assert scores.rank[0, 0] == 0
    assert answer_scores(space, [], np.zeros((0, 1), dtype=np.int64)).right.shape == (0, 1)


def test_the_move_that_answers_most_is_chosen():
    """All development pairs have one word as their answer: a vector far along its row of the head says it, the opposite never does."""
    space = tiny_space("llama")
    task = Task("constant", tuple((source, "dog") for source, _ in PAIRS))
    row = 100 * space.unembedding()[space.word_ids("dog")[0]]
    moves = [Intervention(layer=-1, vector=sign * row, how="replace", where="last") for sign in (-1, 1)]
    move, accuracies = choose_move(space, task, task.pairs[:3], moves)
    assert move is moves[1]
    assert accuracies.tolist() == [0.0, 1.0]


def test_layers_by_default_are_the_inner_ones():
    assert inner_layers(tiny_space("gpt2"), None) == (1, 2)
    assert inner_layers(tiny_space("gpt2"), [-1, 0]) == (3, 0)
    with pytest.raises(InputError, match="layer 7 does not exist"):
        task_vectors(tiny_space("gpt2"), NEXT, layers=[7])
    with pytest.raises(InputError, match="No layer is left"):
        inner_layers(tiny_space("gpt2"), [])


def test_words_of_a_vector_are_those_of_the_lens():
    space = tiny_space("gpt2")
    state = hidden(space, "a dog")[3, -1]
    words = top_words(space, state, -1, n_words=3)
    logits = space.logits(state[np.newaxis])[0]
    assert [token for token, _ in words] == space.token_texts(np.argsort(-logits)[:3].tolist())
    np.testing.assert_allclose([share for _, share in words], np.sort(softmax(logits[np.newaxis].astype(float))[0])[::-1][:3], rtol=1e-4)


def test_composition_is_a_parallelogram(rng):
    a, b, c, d = rng.normal(size=(4, 5))
    np.testing.assert_allclose(composed(d - a, c - b, c - a), d - b)


def test_prompts_longer_than_the_model_takes_are_refused():
    with pytest.raises(InputError, match="longer than the 64 tokens"):
        task_vectors(tiny_space("gpt2"), Task("long", tuple((source * 8, target) for source, target in PAIRS)), n_shots=8)
    with pytest.raises(InputError, match="Ask for fewer shots"):
        answer_scores(tiny_space("gpt2"), ["a " * 80], np.array([[1]]))


def test_spaces_that_cannot_be_patched_are_refused(without_type_checks):
    with pytest.raises(InputError, match="ToySpace cannot be patched"):
        task_vectors(ToySpace({"a": [1.0], "b": [2.0]}), NEXT)
    with pytest.raises(InputError, match="does not write"):
        task_vectors(tiny_space("bert"), NEXT)
    with pytest.raises(InputError, match="would not end with its separator"):
        task_vectors(tiny_space("gpt2", template="Say: {text}!"), NEXT)


def test_one_task_has_no_control():
    for tasks in ([], [NEXT], [NEXT, NEXT]):
        with pytest.raises(InputError, match="two or more of different names"):
            task_vector_study(tiny_space("gpt2"), tasks)


def test_a_study_of_an_untrained_model_runs_and_says_so():
    result = task_vector_study(tiny_space("gpt2"), [NEXT, SAME], size=StudySize(n_shots=2, n_prompts=3, n_splits=2))
    frame = result.to_frame()
    assert len(frame) == 3 * 8
    assert set(frame.task) == {"next", "same", "all tasks"}
    assert result.score("patched").accuracy.value <= 0.3
    document = json.loads(json.dumps(result.to_dict()))
    assert document["provenance"]["parameters"]["tasks"] == ["next", "same"]
    assert "patched" in result._repr_html_()
    with pytest.raises(InputError, match="no score of 'steered'"):
        result.score("steered")


def test_intervals_count_pairs_not_prompts():
    """Asked ten times, two pairs are still two pairs: one always right, one always wrong."""
    space = tiny_space("gpt2")
    prompts, tally = ["a ->", "b ->"], PatchTally(few_shot="few-shot")
    with torch.no_grad():
        best = int(space.model(torch.tensor([space.token_states("a ->", layers=[0]).ids])).logits[0, -1, : space.n_vocab].argmax())
    answers = np.array([[best, -1], [(best + 1) % 290, -1]])
    scores = answer_scores(space, prompts, answers)
    scores.right[:, 0] = [True, False]
    for _ in range(10):
        tally.add("t", "few-shot", PAIRS[:2], scores)
    (score,) = tally.scores(seed=0)
    assert (score.accuracy.value, score.accuracy.low, score.accuracy.high) == (0.5, 0.0, 1.0)
    assert (score.n_prompts, score.n_pairs) == (20, 2)
    assert score.other_accuracy is None
    assert score.few_shot_share.value == 1.0


@pytest.fixture(scope="module")
def study(toy):
    return task_vector_study(toy.space(), toy.tasks(), size=StudySize(n_prompts=10, n_splits=2))


def accuracy(study, condition):
    return study.score(condition).accuracy.value


def test_the_planted_vector_does_what_demonstrations_do(study):
    assert accuracy(study, "few-shot") >= 0.95
    assert accuracy(study, "zero-shot") <= 0.45
    assert study.score("patched").few_shot_share.low >= 0.8
    assert all(study.score("patched", name).few_shot_share.value >= 0.8 for name in {choice.task for choice in study.choices})


def test_the_layer_it_was_planted_at_is_found_on_development_pairs(study):
    assert {choice.layer for choice in study.choices} == {2}
    assert all(max(choice.accuracies) == choice.accuracies[choice.layers.index(2)] for choice in study.choices)


def test_the_vector_of_another_task_brings_the_other_tasks_answers(study):
    other = study.score("other task")
    assert other.other_accuracy.low >= 0.8
    assert other.accuracy.value <= 0.25
    assert study.score("overridden").other_accuracy.value >= 0.6


def test_controls_do_no_better_than_no_demonstrations(study):
    for condition in ("random vector", "shuffled labels"):
        assert accuracy(study, condition) <= accuracy(study, "zero-shot") + 0.15


def test_the_chart_is_a_valid_specification(study):
    import vl_convert

    svg = vl_convert.vegalite_to_svg(json.dumps(study.chart().to_dict()))
    assert "shuffled labels" in svg
    assert "other task" in svg


def test_answers_that_the_vocabulary_cannot_write_are_refused(toy):
    with pytest.raises(VocabularyError, match="cannot write"):
        task_vector_study(toy.space(), [*toy.tasks()[:1], Task("foreign", tuple((a, "Zürich") for a in "abcdefghijkl"))])
