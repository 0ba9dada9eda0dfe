"""Training weights: where it starts, what it leaves alone, what it learns, and what it must not find."""

import itertools
import math

import numpy as np
import pytest
import torch

from lexframe.adaptation.encoded_texts import EncodedTexts, label_scores
from lexframe.adaptation.methods.fine_tuning import FineTuning
from lexframe.adaptation.methods.label_readouts import label_readout, scores_of
from lexframe.adaptation.methods.optimizing import Course, batches_of_like_length, optimize, rate_share, split_rows
from lexframe.adaptation.problem import Problem
from lexframe.exceptions import InputError
from lexframe.linalg import softmax
from lexframe.seeding import seeded
from lexframe.spaces import SentenceEncoderSpace
from lexframe.spaces.weights import weights_hash
from tests.planted import planted_space
from tests.tiny_models import CAUSAL, MASKED, tiny_model, tiny_space, tiny_tokenizer

KINDS = {"bad": ("cat", "mat"), "good": ("dog", "sat")}
FILLER = ("one", "two", "three", "four", "five")


def planted_problem(space, n_per_class, *, n_test=60, seed=0, shuffled=False, most_filler=4):
    """Texts of one telling word among filler, two labels; the rows of the test and their class numbers come with it.

    Labels take turns, so that they are balanced; with `shuffled` those of training mean nothing.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(2 * n_per_class + n_test) % 2
    kinds = list(KINDS.values())
    texts = [
        " ".join([*rng.choice(FILLER, rng.integers(1, most_filler + 1)), rng.choice(kinds[c]), *rng.choice(FILLER, rng.integers(0, 2))])
        for c in y
    ]
    rows, test = np.arange(2 * n_per_class), np.arange(2 * n_per_class, len(y))
    labels = rng.permutation(y[rows]) if shuffled else y[rows]
    problem = Problem(EncodedTexts(space, texts), tuple(KINDS), {label: [label] for label in KINDS}, rows, labels, seed=seed)
    return problem, test, y[test]


def encoder_space(**options):
    return SentenceEncoderSpace(tiny_model("bert").bert, tokenizer=tiny_tokenizer(masked=True), **options)


def zero_shot(problem, rows):
    """The model's own answer, by the path of every zero-shot method: points first, the space's head after."""
    return softmax(label_scores(problem.space, problem.space.encode(problem.texts(rows)), problem.words()))


def accuracy(classifier, rows, truth):
    return float(np.mean(classifier.predict_proba(rows).argmax(axis=1) == truth))


FAST = {"learning_rates": (3e-3, 1e-2), "max_steps": 60, "batch_size": 16}


# gpt2: learned positions; gemma2: a soft cap; phi: a bias; granite: a scale; bert: a transform; opt, mixtral: the rest
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "phi", "granite", "bert", "modernbert", "opt", "mixtral"])
def test_no_step_is_zero_shot(family):
    assert family in {**CAUSAL, **MASKED}
    problem, test, _ = planted_problem(tiny_space(family, template="{text} is"), 6)
    classifier = FineTuning(max_steps=0).fit(problem)
    np.testing.assert_allclose(classifier.predict_proba(test), zero_shot(problem, test), atol=1e-6)
    assert classifier.choices["steps"] == 0


@pytest.mark.parametrize("options", [{"layer": 2}, {"layer": 1, "pooling": "mean"}, {"pooling": "span", "template": "{text} is"}])
def test_no_step_is_zero_shot_at_any_layer_and_pooling(options):
    problem, test, _ = planted_problem(tiny_space("llama", **options), 6)
    np.testing.assert_allclose(FineTuning(max_steps=0).fit(problem).predict_proba(test), zero_shot(problem, test), atol=1e-6)


def test_words_of_several_tokens_are_averaged():
    problem, test, _ = planted_problem(tiny_space("llama"), 6)
    words = {"bad": ["wretched", "bad"], "good": ["splendid"]}
    problem = Problem(problem.encoded, problem.labels, words, problem.rows, problem.y)
    assert max(len(problem.space.word_ids(word)) for listed in words.values() for word in listed) > 2
    np.testing.assert_allclose(FineTuning(max_steps=0).fit(problem).predict_proba(test), zero_shot(problem, test), atol=1e-6)


@pytest.mark.parametrize("normalize", [False, True])
def test_an_encoder_starts_undecided_and_reads_the_spaces_own_points(normalize):
    problem, test, _ = planted_problem(encoder_space(normalize=normalize, template="query: {text}"), 6)
    assert np.array_equal(FineTuning(max_steps=0).fit(problem).predict_proba(test), np.full((len(test), 2), 0.5))
    readout = label_readout(problem).eval()
    torch.nn.init.normal_(readout.classifier.weight, generator=torch.Generator().manual_seed(0))
    expected = problem.space.encode(problem.texts(test)) @ readout.classifier.weight.detach().numpy().T
    texts = readout.network.tokenize(problem.texts(test))
    np.testing.assert_allclose(scores_of(readout, texts, 7), expected, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "roberta"])
def test_padding_changes_no_score(family):
    problem, test, _ = planted_problem(tiny_space(family), 6)
    readout = label_readout(problem).eval()
    texts = readout.network.tokenize([*problem.texts(test), "one " * 20])
    np.testing.assert_allclose(scores_of(readout, texts, len(texts)), scores_of(readout, texts, 1), atol=1e-5)


def test_the_callers_model_is_untouched():
    space = tiny_space("llama")
    before = weights_hash(space.model)
    problem, test, _ = planted_problem(space, 6)
    classifier = FineTuning(**FAST).fit(problem)
    classifier.predict_proba(test)
    assert classifier.choices["steps"] > 0
    assert weights_hash(space.model) == before
    assert not space.model.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in space.model.parameters())
    assert weights_hash(classifier.readout.model) != before


def test_planted_classes_are_learnt():
    problem, test, truth = planted_problem(tiny_space("llama"), 32)
    assert np.mean(zero_shot(problem, test).argmax(axis=1) == truth) < 0.75
    classifier = FineTuning(**FAST).fit(problem)
    assert accuracy(classifier, test, truth) > 0.85
    probabilities = classifier.predict_proba(test)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert classifier.n_parameters == sum(p.numel() for p in problem.space.model.parameters())


def test_planted_classes_are_learnt_by_an_encoder():
    problem, test, truth = planted_problem(encoder_space(), 24)
    classifier = FineTuning(**FAST).fit(problem)
    assert accuracy(classifier, test, truth) > 0.9
    of_model = sum(p.numel() for name, p in problem.space.model.named_parameters() if not name.startswith("pooler"))
    assert classifier.n_parameters == of_model + 2 * 32 + 2  # the pooler is not read


def test_shuffled_labels_give_chance():
    # Four telling words leave little room for chance to even out within one shuffle, hence the mean over several.
    space = tiny_space("llama")
    values = []
    for seed in range(6):
        problem, test, truth = planted_problem(space, 12, seed=seed, shuffled=True)
        values.append(accuracy(FineTuning(learning_rates=(1e-2,), max_steps=20).fit(problem), test, truth))
    assert abs(np.mean(values) - 0.5) < max(4 * np.std(values) / np.sqrt(len(values)), 0.1)
    assert np.mean(values) < 0.8


def test_the_same_seed_gives_the_same_numbers():
    space = tiny_space("gpt2")  # it has dropout
    problem, test, _ = planted_problem(space, 6)
    state = torch.random.get_rng_state()
    first, again = (FineTuning(**FAST).fit(problem) for _ in range(2))
    assert first.choices["steps"] > 0
    assert np.array_equal(first.predict_proba(test), again.predict_proba(test))
    assert first.choices == again.choices
    assert torch.equal(torch.random.get_rng_state(), state)
    other = Problem(problem.encoded, problem.labels, problem.label_words, problem.rows, problem.y, seed=1)
    assert not np.array_equal(FineTuning(**FAST).fit(other).predict_proba(test), first.predict_proba(test))


def test_rate_and_steps_are_chosen_inside_the_labels():
    problem, test, _ = planted_problem(tiny_space("llama"), 20)
    choices = FineTuning(**FAST).fit(problem).choices
    assert choices["chosen_by"] == "log-loss of 8 of 40 labeled texts, held out"
    assert choices["learning_rate"] in FAST["learning_rates"]
    assert set(choices["held_out_log_loss"]) == {"0.003", "0.01"}
    assert 0 < choices["steps"] <= choices["horizon"] <= choices["max_steps"] == 60
    # The test texts are other texts, or gone altogether: nothing of what is chosen may change.
    texts = [*problem.texts(problem.rows), *["one two"] * len(test)]
    other = Problem(EncodedTexts(problem.space, texts), problem.labels, problem.label_words, problem.rows, problem.y)
    assert FineTuning(**FAST).fit(other).choices == choices


def test_the_chosen_rate_has_the_least_held_out_loss():
    problem, _, _ = planted_problem(tiny_space("llama"), 20)
    choices = FineTuning(learning_rates=(1e-9, 1e-2, 1e-8), max_steps=60).fit(problem).choices
    assert choices["learning_rate"] == 1e-2
    assert choices["held_out_log_loss"]["0.01"] < choices["held_out_log_loss"]["1e-09"]
    assert choices["held_out_log_loss"]["0.01"] < choices["held_out_log_loss_before"]


def test_too_few_labels_to_choose_take_the_middle_rate():
    problem, _, _ = planted_problem(tiny_space("llama"), 3)
    classifier = FineTuning(learning_rates=(1e-4, 1e-2, 3e-2)).fit(problem)
    assert classifier.choices["chosen_by"].startswith("fixed: fewer than two classes with 16 labels")
    assert (classifier.choices["learning_rate"], classifier.choices["steps"]) == (1e-2, 20)
    assert accuracy(classifier, problem.rows, problem.y) == 1


def test_a_larger_cap_gives_more_steps_and_is_recorded():
    problem, _, _ = planted_problem(tiny_space("llama"), 3)
    for cap in (5, 7):
        choices = FineTuning(max_steps=cap).fit(problem).choices
        assert (choices["steps"], choices["max_steps"]) == (cap, cap)


def test_weights_above_the_layer_that_is_read_are_not_counted():
    problem, _, _ = planted_problem(tiny_space("llama", layer=1), 3)
    model = problem.space.model
    read = sum(p.numel() for name, p in model.named_parameters() if ".layers.1." not in name and ".layers.2." not in name)
    assert FineTuning(max_steps=1).fit(problem).n_parameters == read


def test_no_rows_give_no_answers():
    problem, _, _ = planted_problem(tiny_space("llama"), 3)
    assert FineTuning(max_steps=1).fit(problem).predict_proba(np.zeros(0, dtype=np.int64)).shape == (0, 2)


def test_a_space_without_weights_is_refused():
    assert "no weights that can be trained" in str(FineTuning().obstacle(planted_space()))
    assert FineTuning().obstacle(tiny_space("llama")) is None
    assert FineTuning().obstacle(encoder_space()) is None
    problem = Problem(
        EncodedTexts(planted_space(), ["money"]), ("money", "room"), {"money": ["money"], "room": ["room"]}, np.arange(1), np.arange(1)
    )
    with pytest.raises(InputError, match="ToySpace has no weights"):
        FineTuning().fit(problem)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rates": ()}, "one or more positive"),
        ({"learning_rates": (0.0,)}, "one or more positive"),
        ({"max_steps": -1}, "max_steps is -1"),
        ({"batch_size": 0}, "batch_size 0"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        FineTuning(**options)


def test_divergence_is_an_error_and_not_a_number():
    problem, _, _ = planted_problem(tiny_space("gpt2"), 3)
    with pytest.raises(InputError, match=r"diverged after .* smaller learning_rates"):
        FineTuning(learning_rates=(1e30,)).fit(problem)


def test_the_loop_is_adamw_on_cross_entropy_with_a_rate_that_rises_and_falls():
    """Three steps by hand, in float32, on the same batches."""
    problem, _, _ = planted_problem(tiny_space("llama"), 4)
    course = Course(rate=1e-2, horizon=30, steps=3, batch_size=4, weight_decay=0.1, seed=5)
    ours, slow = label_readout(problem), label_readout(problem)
    texts = ours.network.tokenize(problem.texts(problem.rows))
    with seeded(5):
        assert list(optimize(ours, texts, problem.y, course)) == [1, 2, 3]
    optimizer = torch.optim.AdamW(slow.parameters(), lr=1e-2, weight_decay=0.1)
    lengths = np.array([len(text.ids) for text in texts])
    batches = batches_of_like_length(lengths, 4, np.random.default_rng(5))
    for rate, rows in zip((0.25e-2, 0.5e-2, 0.75e-2), itertools.islice(batches, 3), strict=True):  # a tenth of 30 is 3 steps
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        probabilities = torch.softmax(slow(slow.network.batch([texts[row] for row in rows])), dim=1)
        loss = -torch.log(probabilities[torch.arange(len(rows)), torch.from_numpy(problem.y[rows])]).mean()
        loss.backward()
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in slow.parameters()))
        for parameter in slow.parameters():
            parameter.grad *= min(1.0, 1 / norm)
        optimizer.step()
    for (name, mine), by_hand in zip(ours.named_parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(mine, by_hand, atol=1e-5, rtol=1e-4, msg=name)


def test_the_rate_rises_to_one_and_falls_to_zero():
    shares = np.array([rate_share(step, 50) for step in range(51)])
    assert shares.argmax() == 5
    assert (shares[5], shares[50]) == (1.0, 0.0)
    assert np.all(np.diff(shares[:6]) > 0)
    assert np.all(np.diff(shares[5:]) < 0)
    assert [rate_share(0, 1), rate_share(0, 2), rate_share(1, 2)] == [1.0, 1.0, 0.5]


def test_batches_show_every_text_once_an_epoch_and_hold_texts_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 100, size=150)
    batches = batches_of_like_length(lengths, 16, np.random.default_rng(1))
    for _ in range(2):
        epoch = list(itertools.islice(batches, 10))
        assert sorted(np.concatenate(epoch).tolist()) == list(range(150))
        assert np.mean([np.ptp(lengths[rows]) for rows in epoch]) < 15
    firsts = [next(batches_of_like_length(lengths, 16, np.random.default_rng(seed))) for seed in (1, 2)]
    assert set(firsts[0]) != set(firsts[1])


def test_a_fifth_is_held_out_by_class():
    y = np.repeat(np.arange(3), (4, 10, 30))
    train, held_out = split_rows(y, 0)
    assert sorted([*train, *held_out]) == list(range(44))
    assert np.bincount(y[held_out], minlength=3).tolist() == [1, 2, 6]
    assert len(split_rows(np.arange(40) % 10, 0)[1]) == 10
    assert len(split_rows(np.arange(8000) % 2, 0)[1]) == 256


def test_a_rare_class_stays_in_training_and_changes_nothing_of_what_is_held_out():
    y = np.repeat([0, 1], (40, 20))
    train, held_out = split_rows(y, 0, least=16)
    for rare in ([2], [2] * 15, [2, 3]):
        more_train, more_held_out = split_rows(np.array([*y, *rare]), 0, least=16)
        assert np.array_equal(more_held_out, held_out)
        assert np.array_equal(more_train, [*train, *range(60, 60 + len(rare))])
    assert 2 in y_of(np.array([*y, *[2] * 16]), split_rows(np.array([*y, *[2] * 16]), 0, least=16)[1])


def y_of(y, rows):
    return y[rows].tolist()


@pytest.mark.parametrize("n_rare", [0, 1, 3])
def test_one_rare_class_does_not_switch_the_choice_of_rate_off(n_rare):
    problem, test, _ = planted_problem(tiny_space("llama"), 20)
    rows, y = np.concatenate([problem.rows, test[:n_rare]]), np.concatenate([problem.y, [2] * n_rare]).astype(np.int64)
    words = {**problem.label_words, "odd": ["one"]}
    choices = FineTuning(**FAST).fit(Problem(problem.encoded, (*problem.labels, "odd"), words, rows, y)).choices
    assert choices["chosen_by"] == f"log-loss of 8 of {40 + n_rare} labeled texts, held out"
    assert set(choices["held_out_log_loss"]) == {"0.003", "0.01"}


def test_a_single_class_with_many_labels_chooses_no_rate():
    problem, _, _ = planted_problem(tiny_space("llama"), 20)
    kept = np.flatnonzero((problem.y == 0) | (np.arange(40) < 6))
    problem = Problem(problem.encoded, problem.labels, problem.label_words, problem.rows[kept], problem.y[kept])
    assert FineTuning(max_steps=1).fit(problem).choices["chosen_by"].startswith("fixed")
