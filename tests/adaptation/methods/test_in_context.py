"""Prompts to the letter, as many demonstrations as fit, and the same answer whichever way a prompt is read."""

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from hypothesis import given
from hypothesis import strategies as st

from lexframe.adaptation.methods.in_context import (
    NearestInContext,
    RandomInContext,
    balanced_order,
    demonstration,
    nearest_order,
    prompt_obstacle,
    shortened,
)
from lexframe.adaptation.methods.zero_shot import ZeroShot
from lexframe.exceptions import InputError
from lexframe.spaces import LanguageModelSpace, SentenceEncoderSpace
from lexframe.spaces.templates import Template
from lexframe.spaces.weights import weights_hash
from tests.adaptation.methods.test_zero_shot import problem_of
from tests.planted import planted_space
from tests.tiny_models import CAUSAL, MASKED, tiny_model, tiny_space, tiny_tokenizer

METHODS = [RandomInContext, NearestInContext]
LABELED = ("a dog sat", "the cat", "good mat", "bad one", "two cats", "dog on mat", "{text} or so", "x")
NEW = ("the dog", "a cat sat on the mat", "three", "mat")
WORDS = {"cat": ["cat", "mat"], "dog": ["dog"]}
TEST = np.arange(len(LABELED), len(LABELED) + len(NEW))


def few_labels(space, *, n=8, new=NEW, words=WORDS, seed=0):
    """The first `n` texts are labeled, in turn; the new ones follow after all eight."""
    return problem_of(space, LABELED + new, words, rows=np.arange(n), y=np.arange(n) % 2, seed=seed)


def shown(prompts, number):
    """Demonstrations of one prompt, in order, by their text."""
    return prompts[number].split("\n\n")[:-1]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{text}", "good mat cat\n\n"),
        ("Say {text}. It is", "Say good mat. It is cat\n\n"),
        ("Text: {text}\nTopic: ", "Text: good mat\nTopic: cat\n\n"),
    ],
)
def test_a_demonstration_to_the_letter(template, expected):
    assert demonstration(Template.parse(template), "good mat", "cat") == expected


def test_the_random_prompt_to_the_letter():
    problem = few_labels(tiny_space("gpt2", template="({text}):"), n=2)
    (first, second), numbers = RandomInContext(longest_share=1.0).fit(problem).filled(TEST[:2])
    demonstrations = ["(a dog sat): cat\n\n", "(the cat): dog\n\n"]  # the first word of each label
    order = balanced_order(problem.y, seed=0)
    prefix = demonstrations[order[0]] + demonstrations[order[1]]
    assert (first, second) == (f"{prefix}(the dog):", f"{prefix}(a cat sat on the mat):")
    assert numbers.tolist() == [2, 2]


def test_the_nearest_prompt_to_the_letter():
    problem = few_labels(tiny_space("gpt2"), n=2)
    points = problem.encoded.points.astype(np.float64)
    near = int(np.argmin([np.linalg.norm(points[TEST[0]] - points[row]) for row in (0, 1)]))
    # Two points centered on their mean lie opposite each other, so the nearer of the two has the larger cosine.
    demonstrations = ["a dog sat cat\n\n", "the cat dog\n\n"]
    (found,), _ = NearestInContext(longest_share=1.0).fit(problem).filled(TEST[:1])
    assert found == demonstrations[1 - near] + demonstrations[near] + "the dog"


def test_nearest_is_by_cosine_of_centred_points(rng):
    labeled, points = rng.normal(size=(30, 5)).astype(np.float32) + 4, rng.normal(size=(700, 5)).astype(np.float32) + 4
    order, center = nearest_order(points, labeled, 7), labeled.mean(0)
    assert order.shape == (700, 7)
    for row in (0, 511, 512, 699):
        a, b = points[row] - center, labeled - center
        assert order[row].tolist() == np.argsort(-(b @ a) / np.linalg.norm(b, axis=1))[:7].tolist()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 5))
def test_the_first_of_the_random_order_are_balanced(y, seed):
    y = np.array(y)
    order = balanced_order(y, seed)
    assert sorted(order) == list(range(len(y)))
    for k in range(1, len(y) + 1):
        counts = np.bincount(y[order[:k]], minlength=5)
        left = counts < np.bincount(y, minlength=5)  # classes that could have given one more
        assert not left.any() or counts.max() - counts[left].min() <= 1


def test_the_random_order_is_shuffled_within_rounds():
    y = np.tile(np.arange(4), 8)
    rounds = {tuple(y[order[:4]]) for order in (balanced_order(y, seed) for seed in range(20))}
    assert len(rounds) > 5
    assert balanced_order(y, 3).tolist() == balanced_order(y, 3).tolist() != balanced_order(y, 4).tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("family", "template"), [("gpt2", "{text}"), ("llama", "Q {text}\nA "), ("qwen3", "{text} is")])
@pytest.mark.parametrize("max_length", [24, 40, 64])
def test_as_many_whole_demonstrations_as_the_context_holds(method, family, template, max_length):
    space = tiny_space(family, template=template, max_length=max_length)
    problem = few_labels(space)
    classifier = method(longest_share=1.0).fit(problem)
    prompts, numbers = classifier.filled(TEST)
    order = classifier.order(TEST, len(LABELED))
    parsed = space.tokenization.template
    whole = [demonstration(parsed, text, ("cat", "dog")[i % 2]) for i, text in enumerate(LABELED)]
    if method is RandomInContext:
        whole = [whole[i] for i in balanced_order(problem.y, 0)]
    for text, found, number, row in zip(NEW, prompts, numbers, order, strict=True):

        def of(k, row=row, text=text):
            chosen = [whole[i] for i in row[:k]]
            return "".join(chosen if method is RandomInContext else chosen[::-1]) + parsed.fill(text)

        fits = [k for k in range(len(LABELED) + 1) if len(space.tokenizer.backend_tokenizer.encode(of(k)).ids) <= max_length]
        assert number == max(fits)
        assert found == of(number)


@pytest.mark.parametrize("method", METHODS)
def test_the_text_itself_is_never_cut(method):
    problem = few_labels(tiny_space("llama", template="Q {text} A"), new=tuple("mat " * n for n in (1, 8, 20)))
    prompts, numbers = method().fit(problem).filled(TEST[:3])
    assert 0 < numbers[2] < len(LABELED)
    for found, text in zip(prompts, problem.texts(TEST[:3]), strict=True):
        assert found.endswith(f"Q {text} A")


def test_long_demonstrations_are_cut_to_their_share_after_a_whole_word():
    space = tiny_space("gpt2")
    long = "the cat sat on the mat and one two three"
    cut, short, solid = shortened(space, [long, "a dog", "z" * 50], 9)
    assert short == "a dog"
    assert long.startswith(f"{cut} ")
    assert (space.prompt_lengths([cut, solid]) <= 9).all()
    assert space.prompt_lengths([cut])[0] > 3
    assert set(solid) == {"z"}
    assert shortened(space, ["", "🐈"], 1) == ["", "🐈"]  # four tokens, but one character is the least there is
    problem = few_labels(space, new=NEW)
    classifier = RandomInContext(longest_share=0.05).fit(problem)  # three tokens
    assert classifier.choices["shortened"] > 0
    texts = [text.removesuffix("\n\n").rpartition(" ")[0] for text in classifier.prompts.demonstrations]
    assert (space.prompt_lengths(texts) <= 3).all()


def naive_probabilities(space, prompts, words):
    """From the model's own logits after the last token of each prompt, one prompt at a time."""
    rows = []
    for text in prompts:
        ids = torch.tensor([space.tokenizer.backend_tokenizer.encode(text).ids])
        with torch.no_grad():
            log_p = space.model(ids).logits[0, -1, : space.n_vocab].double().log_softmax(0).numpy()
        scores = [np.mean([log_p[i] for word in listed for i in space.word_ids(word)]) for listed in words.values()]
        rows.append(np.exp(scores) / np.exp(scores).sum())
    return np.array(rows)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("family", "layer"), [("gpt2", -1), ("gemma2", -1), ("llama", 1)])
def test_probabilities_are_the_models_own_after_the_prompt(method, family, layer):
    new = (*NEW[:3], "a cat sat on the mat and one two three")
    problem = few_labels(tiny_space(family, layer=layer, template="{text} is", max_length=48), new=new)
    classifier = method().fit(problem)
    prompts, numbers = classifier.filled(TEST)
    assert len(set(numbers.tolist())) > 1  # several groups that share a prefix
    found = classifier.predict_proba(TEST)
    np.testing.assert_allclose(found, naive_probabilities(problem.space, prompts, WORDS), atol=1e-4)
    np.testing.assert_allclose(found.sum(1), 1)


@pytest.mark.parametrize("method", METHODS)
def test_a_context_too_short_for_a_demonstration_is_zero_shot_and_counted(method):
    problem = few_labels(tiny_space("gpt2", template="{text} is", max_length=8))
    classifier = method(longest_share=1.0).fit(problem)
    assert np.array_equal(classifier.predict_proba(TEST), ZeroShot().fit(problem).predict_proba(TEST))
    assert classifier.choices["without_demonstrations"] == len(TEST)
    classifier.predict_proba(TEST)
    assert classifier.choices["without_demonstrations"] == len(TEST)  # texts, not calls


@pytest.mark.parametrize("method", METHODS)
def test_only_the_texts_that_leave_no_room_stand_alone(method):
    long = "the cat sat on the mat " * 5
    problem = few_labels(tiny_space("gpt2", max_length=40), new=("the dog", long, "mat"))
    classifier = method().fit(problem)
    rows = TEST[:3]
    found, zero = classifier.predict_proba(rows), ZeroShot().fit(problem).predict_proba(rows)
    assert classifier.choices["without_demonstrations"] == 1
    assert np.array_equal(found[1], zero[1])
    assert not np.isclose(found[[0, 2]], zero[[0, 2]]).any()
    assert classifier.choices["demonstrations"] == classifier.filled(rows)[1].mean()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_numbers(method):
    space = tiny_space("gpt2", template="{text} is")
    first, again, other = (method().fit(few_labels(space, seed=seed)).predict_proba(TEST) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (method is NearestInContext)


@pytest.mark.parametrize("method", METHODS)
def test_no_rows_and_one_label_a_class(method):
    classifier = method().fit(few_labels(tiny_space("gpt2"), n=2))
    assert classifier.predict_proba(TEST[:0]).shape == (0, 2)
    assert classifier.n_parameters == 0
    assert classifier.filled(TEST)[1].max() == 2
    np.testing.assert_allclose(classifier.predict_proba(TEST).sum(1), 1)


@pytest.mark.parametrize("method", METHODS)
def test_model_and_tokenizer_stay_as_they_were(method):
    model = CAUSAL["llama"]().train()
    model.model.layers[0].eval()  # a mode of its own, to be kept too
    tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer().backend_tokenizer, bos_token="<s>", pad_token="<pad>")
    tokenizer.padding_side = "left"
    tokenizer.backend_tokenizer.enable_truncation(5)
    space = LanguageModelSpace(model, tokenizer=tokenizer, template="{text} is", max_length=40)

    def state():
        modes = [module.training for module in model.modules()]
        hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]
        own = (space.layer, space.pooling, str(space.tokenization.template), space.tokenization.truncation, space.tokenization.max_length)
        return weights_hash(model), modes, hooks, model.config.to_dict(), tokenizer.backend_tokenizer.to_str(), tokenizer.padding_side, own

    before = state()
    method().fit(few_labels(space)).predict_proba(TEST)
    assert state() == before
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_label_words_that_coincide_or_begin_alike(method):
    space = tiny_space("gpt2")
    same = method().fit(few_labels(space, words={"a": ["cat"], "b": ["cat"]})).predict_proba(TEST)
    np.testing.assert_allclose(same, 0.5)
    alike = method().fit(few_labels(space, words={"a": ["caffzz"], "b": ["caffyy"]})).predict_proba(TEST)
    np.testing.assert_allclose(alike.sum(1), 1)
    assert (alike[:, 0] != alike[:, 1]).all()


@pytest.mark.parametrize("method", METHODS)
def test_spaces_that_do_not_go_on_from_a_prompt(method):
    encoder = SentenceEncoderSpace(tiny_model("bert").bert, tokenizer=tiny_tokenizer(masked=True))
    for family in sorted(MASKED):
        assert "masked language model" in method().obstacle(tiny_space(family))
    for space in (planted_space(), encoder):
        assert "causal language model" in method().obstacle(space)
    for family in sorted(CAUSAL):
        assert method().obstacle(tiny_space(family)) is None
    with pytest.raises(InputError, match="masked language model"):
        method().fit(few_labels(tiny_space("bert")))


def test_a_masked_model_is_known_by_its_configuration_too():
    model = copy.deepcopy(tiny_model("gpt2"))
    model.config.architectures = ["RobertaForMaskedLM"]  # as in a wrapper around it
    assert "masked" in prompt_obstacle(LanguageModelSpace(model, tokenizer=tiny_tokenizer()))


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_share_that_is_none(share):
    with pytest.raises(InputError, match="longest_share"):
        RandomInContext(longest_share=share)
