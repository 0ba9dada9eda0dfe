"""From pairs to a task space on tiny models: what is planted is found, what cannot be used is named, what is kept is used again."""

import copy
import functools
import itertools
import json
import random
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from lexframe.exceptions import DataError, InputError
from lexframe.files import json_text
from lexframe.spaces import LanguageModelSpace
from lexframe.task_space import TaskSpace, assembly, block_gradients
from lexframe.task_space.building import build_task_space, in_blocks
from lexframe.task_space.ordinary_text import ordinary_windows
from lexframe.task_space.settings import GradientSettings
from lexframe.task_space.similarity import Blocks, task_similarities
from lexframe.task_space.subspaces import subspace_overlaps
from lexframe.task_space.tasks import Contrast, Task
from lexframe.task_space.token_pairs import tokenized
from lexframe.task_space.work import Work
from tests.reference.margins import slow_margin
from tests.reference.scored_tokens import unpadded_next_tokens
from tests.reference.task_gradients import slow_gradients
from tests.spaces.language_model.test_sequence_network import hiding_space
from tests.tiny_models import tiny_model, tiny_space, tiny_tokenizer

WORDS = ["cat", "dog", "mat", "sat", "good", "bad", "one", "two", "three", "four", "five", "six", "seven", "words", "x", "the", "a"]
SMALL = GradientSettings(n_dims=1000, pairs_a_block=4)
CORPUS = [f"the {one} sat on the {other} and a dog too" for one in WORDS[:4] for other in WORDS[4:6]]


def made(name, good, bad, *, n=32, seed, after="", **kind):
    """A task whose pairs differ in one of two words after three words drawn at random."""
    starts = random.Random(seed).sample([" ".join(three) for three in itertools.product(WORDS, repeat=3)], n)
    return Task(name, tuple(Contrast(f"{start} {good}{after}", f"{start} {bad}{after}") for start in starts), **kind)


def shuffled(name, *, n=64, seed):
    """A task that asks for nothing: either side of any two words is the better one."""
    rng = random.Random(seed)
    pairs = [(" ".join(rng.choices(WORDS, k=3)), *rng.sample(WORDS, 2)) for _ in range(n)]
    return Task(name, tuple(Contrast(f"{start} {good}", f"{start} {bad}") for start, good, bad in pairs))


CATS = made("cats", "cat", "dog", seed=1, group="animals", field="nouns")
CATS_AGAIN = made("cats again", "cat", "dog", seed=2, group="animals", field="nouns")
NUMBERS = made("numbers", "two", "three", n=16, seed=3)
WITHIN = [
    made("one", "cat", "dog", n=8, seed=1, after=" sat"),
    made("two", "a", "the", n=17, seed=2, after=" mat"),
]
FEW = made("few", "good", "bad", n=3, seed=5)
SAME = Contrast("a dog", "a dog")


def draw_fewer(monkeypatch, **n_resamples):
    fewer = {"resampled_similarities": {"n_splits": 2}, "subspace_overlaps": {}, "retest": {"n_splits": 2}}
    for name, numbers in fewer.items():
        numbers |= {"n_resamples": n_resamples[name]} if name in n_resamples else {}
        monkeypatch.setattr(assembly, name, functools.partial(getattr(assembly, name), **numbers))


@pytest.fixture
def few_resamples(monkeypatch):
    """Intervals are not what is looked at."""
    draw_fewer(monkeypatch, resampled_similarities=4, subspace_overlaps=4)


@pytest.fixture(scope="module")
def built():
    """A space with a task in two halves, another task, one that asks for nothing, and one of three pairs."""
    some_same = replace(CATS, pairs=(*CATS.pairs, SAME, Contrast("a cat" * 40, "a dog"), *CATS.pairs[:3]))
    with pytest.MonkeyPatch.context() as monkeypatch:
        draw_fewer(monkeypatch, resampled_similarities=60, subspace_overlaps=20)
        return build_task_space(tiny_space("llama"), [some_same, FEW, CATS_AGAIN, shuffled("nothing", seed=4), NUMBERS], settings=SMALL)


def test_halves_of_a_task_are_one_task_and_another_is_another(built):
    assert built.names == ("cats", "cats again", "numbers")
    assert built.groups == ("animals", "animals", None)
    assert built.fields == ("nouns", "nouns", None)
    assert built.similarity[0, 1] == pytest.approx(1, abs=0.05)
    assert (built.similarity[2, :2] < 0.9).all()
    assert (np.diag(built.similarity) == 1).all()
    assert (built.low <= built.similarity).all()
    assert (built.similarity <= built.high).all()
    assert built.high[2, 0] < built.low[0, 1]
    assert built.neighbors("cats")[0][0] == "cats again"
    assert [(task.n_pairs, task.n_blocks) for task in built.tasks] == [(32, 8), (32, 8), (16, 8)]
    assert built.parts == ("embedding", "block 0", "block 1", "block 2", "head")
    assert built.part_similarity[-1, 0, 1] > 0.9
    assert built.part_similarity.shape == (5, 3, 3)
    assert (np.diag(built.overlap) > 0.4).all()
    assert built.overlap[0, 1] > built.overlap[0, 2] > 5 * built.overlap_chance


def test_what_cannot_be_used_is_named_with_the_reason(built):
    reasons = {each.name: each.reason for each in built.dropped}
    assert list(reasons) == ["few", "nothing"]
    assert reasons["few"] == "it has 3 pairs that can be used, and 8 are needed"
    assert reasons["nothing"].startswith("the gradients of its halves agree at ")
    assert "which is below 0.1" in reasons["nothing"]
    assert built.notes[0] == "cats: 1 with identical sides, 1 beyond the context, 3 that stand there twice left out."


def test_pairs_that_ask_for_nothing_agree_with_nothing(few_resamples):
    tasks = [shuffled(f"nothing {seed}", seed=seed, n=16) for seed in range(6)]
    found = build_task_space(tiny_space("llama"), [CATS, CATS_AGAIN, *tasks], settings=SMALL)
    reliability = [task.reliability.value for task in found.tasks if task.name.startswith("nothing")]
    reliability += [float(each.reason.removeprefix("the gradients of its halves agree at ").split()[0]) for each in found.dropped]
    assert len(reliability) == 6
    assert abs(np.mean(reliability)) < 0.1
    assert found.tasks[0].reliability.value > 0.5


def test_accuracy_and_margin_are_those_of_the_pairs(built):
    network = tiny_space("llama").sequence_network()
    pairs = tokenized(network, NUMBERS).pairs
    margins = [slow_margin(functools.partial(unpadded_next_tokens, tiny_model("llama")), [pair]) for pair in pairs]
    assert built.tasks[2].accuracy.value == np.mean(np.array(margins) > 0)
    assert built.tasks[2].margin.value == pytest.approx(np.mean(margins), abs=1e-4)
    assert built.tasks[2].unequal == np.mean([pair.is_unequal for pair in pairs])


def test_directions_have_the_names_of_the_words_that_differ(built):
    assert (built.tasks[2].toward[0][0], built.tasks[2].away[0][0]) == ("wo", "hr")  # the first tokens in which " two" and " three" differ
    for task in built.tasks[:2]:
        assert task.toward[0][0] == " cat"
        assert task.away[0][0] == " dog"
        assert task.toward[0][1] > 0 > task.away[0][1]
        assert len(task.toward) == len(task.away) == 5


def test_it_comes_back_from_its_folder_and_is_json(built, tmp_path):
    built.save(tmp_path / "space")
    back = TaskSpace.load(tmp_path / "space")
    assert back.tasks == built.tasks
    assert back.dropped == built.dropped
    assert back.notes == built.notes
    assert back.parts == built.parts
    for name in ("similarity", "low", "high", "resampled", "overlap", "overlap_low", "overlap_high", "part_similarity"):
        np.testing.assert_array_equal(getattr(back, name), getattr(built, name), err_msg=name)
    assert set(back.controls) == set(built.controls) == {"words", "contrast", "template"}
    assert all(np.array_equal(back.controls[name], table) for name, table in built.controls.items())
    assert (back.retest.to_dict(), back.retest.over) == (built.retest.to_dict(), built.retest.over)
    assert back.retest.interval is None  # of three tasks
    assert (back.error, back.overlap_chance) == (built.error, built.overlap_chance)
    assert back.settings == built.settings
    assert back.provenance == built.provenance
    assert back.summary() == built.summary()
    document = json.loads(json_text(built.to_dict()))
    assert document == json.loads(json_text(back.to_dict()))
    assert document["similarity"][0][1] == built.similarity[0, 1]
    assert document["tasks"][0]["name"] == "cats"
    assert document["dropped"][0]["name"] == "few"
    frame = built.to_frame()
    assert frame[["task", "other"]].to_numpy().tolist() == [["cats", "cats again"], ["cats", "numbers"], ["cats again", "numbers"]]
    assert frame["similarity"].tolist() == built.similarity[[0, 0, 1], [1, 2, 2]].tolist()


PLAIN = {"per_tensor": False, "equal_blocks": False}


@pytest.mark.parametrize(
    "chosen",
    [
        PLAIN,
        {"equal_blocks": True, "center": True},
        PLAIN | {"remove_general": True},
        PLAIN | {"adam_scale": True, "remove_general": True},
    ],
    ids=["plain", "centered", "without general", "all scaled"],
)
def test_numbers_are_those_of_gradients_worked_out_one_by_one(chosen, few_resamples, monkeypatch):
    monkeypatch.setattr(assembly, "LEAST_TO_CENTER", 2)
    # With room for every parameter nothing is folded, and all are sampled.
    settings = GradientSettings(n_dims=200_000, **chosen)
    space = tiny_space("llama")
    corpus = CORPUS if settings.needs_corpus else None
    found = build_task_space(space, WITHIN, settings=settings, corpus=corpus, seed=3)
    network = space.sequence_network()
    tasks = [in_blocks(tokenized(network, task).pairs, 10, seed=3) for task in WITHIN]
    sizes = np.array([len(block) for blocks in tasks for block in blocks])
    assert set(sizes) == {1, 2}
    of_tasks = Blocks(np.repeat([0, 1], [len(blocks) for blocks in tasks]), sizes)
    slow = functools.partial(slow_gradients, copy.deepcopy(tiny_model("llama")), tasks)
    rows = slow(windows=None if corpus is None else ordinary_windows(network, corpus), **asdict(settings))
    expected = task_similarities(rows @ rows.T, of_tasks, seed=3)
    np.testing.assert_allclose(found.similarity, expected.similarity, atol=1e-5)
    np.testing.assert_allclose([task.reliability.value for task in found.tasks], expected.reliability, atol=1e-5)
    assert found.error == 0
    ends = np.cumsum([0, *(each.numel() for each in network.body.parameters())])
    overlaps = subspace_overlaps(rows.astype(np.float32), ends, of_tasks, n_resamples=2, seed=3)
    np.testing.assert_allclose(found.overlap, overlaps.overlap, atol=2e-3)
    if chosen != PLAIN:
        plain = slow()
        assert abs(found.similarity - task_similarities(plain @ plain.T, of_tasks, seed=3).similarity).max() > 0.01


def test_centering_takes_ten_tasks(few_resamples):
    with pytest.raises(InputError, match=r"with 2 tasks it makes them opposites\. Give 10 tasks or more"):
        build_task_space(tiny_space("llama"), [CATS, CATS_AGAIN], settings=replace(SMALL, center=True))


def test_tasks_with_pairs_in_common_are_named(few_resamples):
    both = replace(CATS_AGAIN, pairs=(*CATS_AGAIN.pairs[:-2], *CATS.pairs[:2]))
    found = build_task_space(tiny_space("llama"), [CATS, both], settings=SMALL)
    assert any(note.startswith("cats again and cats have 2 pairs in common") for note in found.notes)
    assert not any("in common" in note for note in build_task_space(tiny_space("llama"), [CATS, CATS_AGAIN], settings=SMALL).notes)


def test_settings_that_need_ordinary_text_are_refused_without():
    for chosen in ("adam_scale", "remove_general"):
        with pytest.raises(InputError, match="give a corpus") as refused:
            build_task_space(tiny_space("llama"), [CATS, NUMBERS], settings=replace(SMALL, **{chosen: True}))
        assert refused.value.parameters == ("corpus",)


def test_tasks_of_the_same_pairs_are_two_tasks(few_resamples):
    found = build_task_space(tiny_space("llama"), [CATS, NUMBERS, replace(CATS, name="the same")], settings=SMALL)
    assert found.names == ("cats", "numbers", "the same")
    assert found.similarity[0, 2] == pytest.approx(1, abs=0.15)  # above 1, as they have their noise in common
    assert found.tasks[0].margin == found.tasks[2].margin
    assert found.similarity[0, 1] < 0.9


def test_what_was_measured_is_kept_and_not_measured_again(few_resamples, tmp_path, monkeypatch):
    space, folder = tiny_space("gpt2"), tmp_path / "kept"
    tasks = [replace(task, pairs=task.pairs[:8]) for task in (CATS, CATS_AGAIN, NUMBERS)]
    build = functools.partial(build_task_space, space, settings=SMALL)
    whole, measure, calls = build(tasks), block_gradients.passes, []

    def stops(*given, **options):
        calls.append(given)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return measure(*given, **options)

    def counts(*given, **options):
        calls.append(given)
        return measure(*given, **options)

    def never(*given, **options):
        raise AssertionError("it was measured again")

    monkeypatch.setattr(block_gradients, "passes", stops)
    with pytest.raises(KeyboardInterrupt):
        build(tasks, work=Work(folder=folder))
    kept = sorted(folder.iterdir())
    assert len(kept) == 2  # tasks of 8 blocks that were finished
    calls.clear()
    monkeypatch.setattr(block_gradients, "passes", counts)
    resumed = build(tasks, work=Work(folder=folder))
    assert len(calls) == 8
    np.testing.assert_array_equal(resumed.similarity, whole.similarity)
    np.testing.assert_array_equal(resumed.overlap, whole.overlap)
    assert resumed.tasks == whole.tasks
    # A file that was cut off is measured again, in whatever order tasks come.
    kept[0].write_bytes(kept[0].read_bytes()[:-100])
    calls.clear()
    turned = build(tasks[::-1], work=Work(folder=folder))
    assert len(calls) == 8
    assert [task.margin for task in turned.tasks[::-1]] == [task.margin for task in whole.tasks]
    # Other settings, another seed and another model are other files.
    monkeypatch.setattr(block_gradients, "passes", never)
    for other in ({"settings": replace(SMALL, per_token=True)}, {"seed": 1}):
        with pytest.raises(AssertionError, match="measured again"):
            build(tasks, work=Work(folder=folder), **other)
    with pytest.raises(AssertionError, match="measured again"):
        build_task_space(tiny_space("llama"), tasks, settings=SMALL, work=Work(folder=folder))


def test_models_that_share_a_folder_have_ordinary_text_of_their_own(few_resamples, tmp_path):
    # Checkpoints of one run have one tokenizer, and so the same windows.
    settings = replace(SMALL, adam_scale=True, remove_general=True)
    other = copy.deepcopy(tiny_model("llama"))
    with torch.no_grad():
        for each in other.parameters():
            each.mul_(1 + torch.rand(each.shape, generator=torch.Generator().manual_seed(0)))
    spaces = [tiny_space("llama"), LanguageModelSpace(other, tokenizer=tiny_tokenizer())]
    build = functools.partial(build_task_space, tasks=WITHIN, settings=settings, corpus=CORPUS)
    _, second = (build(space, work=Work(folder=tmp_path)) for space in spaces)
    np.testing.assert_array_equal(second.similarity, build(spaces[1]).similarity)


@pytest.mark.long
def test_two_processes_give_the_same():
    one, two = (
        build_task_space(tiny_space("llama"), [CATS, CATS_AGAIN, NUMBERS], settings=SMALL, work=Work(n_processes=n)) for n in (1, 2)
    )
    np.testing.assert_allclose(two.similarity, one.similarity, atol=1e-6)
    np.testing.assert_allclose([task.margin.value for task in two.tasks], [task.margin.value for task in one.tasks], atol=1e-6)


def test_a_run_that_was_stopped_leaves_no_model_behind(few_resamples, monkeypatch):
    # A model in half precision is copied, and may be another one when the next run begins.
    model = copy.deepcopy(tiny_model("llama")).to(torch.bfloat16)
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    tasks = [replace(task, pairs=task.pairs[:8]) for task in (CATS, NUMBERS)]

    def stops(*given, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(block_gradients, "passes", stops)
        with pytest.raises(KeyboardInterrupt):
            build_task_space(space, tasks, settings=SMALL)
    model.load_state_dict(tiny_model("llama_tied").state_dict())
    found = build_task_space(space, tasks, settings=SMALL)
    network = space.sequence_network()
    margin = slow_margin(functools.partial(unpadded_next_tokens, network.body), tokenized(network, tasks[0]).pairs)
    assert found.tasks[0].margin.value == pytest.approx(margin, abs=1e-4)


def test_nothing_that_can_be_used_is_said_in_one_line(few_resamples):
    with pytest.raises(DataError, match="1 task can be used, and two are needed") as refused:
        build_task_space(tiny_space("llama"), [CATS, FEW, replace(FEW, name="same", pairs=(SAME,) * 9)])
    assert "few: it has 3 pairs that can be used, and 8 are needed" in str(refused.value)
    assert "same: it has 0 pairs that can be used, and 8 are needed (9 with identical sides left out)" in str(refused.value)
    assert "\n" not in str(refused.value)
    nothing = [shuffled(f"nothing {seed}", seed=seed, n=40) for seed in (4, 6)]
    with pytest.raises(DataError, match="0 tasks can be told from noise, and two are needed") as refused:
        build_task_space(tiny_space("llama"), nothing, settings=SMALL)
    assert "nothing 4: the gradients" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_too_little_memory_is_said_before_any_gradient(monkeypatch):
    def never(*given, **options):
        raise AssertionError("it was measured")

    monkeypatch.setattr(block_gradients, "passes", never)
    with pytest.raises(InputError, match=r"need about \d\.\d GiB, and 0\.0 GiB are allowed"):
        build_task_space(tiny_space("llama"), [CATS, NUMBERS], settings=SMALL, work=Work(max_gib=0.001))
    with pytest.raises(InputError, match="n_processes is 0"):
        Work(n_processes=0)


def test_what_a_reader_has_to_know_is_noted(few_resamples):
    unequal = Task("long", tuple(Contrast(f"{word} cat", f"{word} caffè") for word in WORDS[:8]))
    tasks = [replace(CATS, pairs=CATS.pairs[:8]), unequal]
    half = LanguageModelSpace(copy.deepcopy(tiny_model("llama")).to(torch.bfloat16), tokenizer=tiny_tokenizer())
    found = build_task_space(half, tasks, settings=SMALL)
    assert found.notes == (
        "The sides of 8 of 16 pairs differ in their number of tokens; per_token divides by it.",
        "The model is kept in bfloat16; its gradients are those of the same weights in float32.",
    )
    assert next(half.model.parameters()).dtype == torch.bfloat16
    assert found.tasks[0].toward[0][0] == " cat"
    masked = build_task_space(hiding_space("bert"), tasks, settings=replace(SMALL, contrast_only=True, per_token=True))
    assert masked.notes == ("The model predicts hidden tokens: log-probabilities are pseudo-log-likelihoods, every token hidden in turn.",)
    assert masked.tasks[0].toward == ()  # a hidden token has no state in front of it


@pytest.mark.parametrize("n", [8, 9, 19, 80, 87, 449, 1000])
@pytest.mark.parametrize("pairs_a_block", [1, 4, 10, 50])
def test_pairs_are_put_into_blocks_at_random(n, pairs_a_block):
    pairs = tokenized(tiny_space("llama").sequence_network(), Task("t", (Contrast("a cat", "a dog"),))).pairs * n
    pairs = [replace(pair, good=replace(pair.good, scored=(i,))) for i, pair in enumerate(pairs)]
    blocks = in_blocks(pairs, pairs_a_block, seed=0)
    places = [pair.good.scored[0] for block in blocks for pair in block]
    assert sorted(places) == list(range(n)) != places
    sizes = [len(block) for block in blocks]
    assert max(sizes) <= pairs_a_block
    assert max(sizes) - min(sizes) <= 1
    assert len(blocks) >= 8
    assert blocks == in_blocks(pairs, pairs_a_block, seed=0) != in_blocks(pairs, pairs_a_block, seed=1)
