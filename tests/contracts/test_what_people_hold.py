"""Names where spaces go, and whatever holds texts where texts go: one rule, for every public function."""

import importlib
import inspect

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lexframe.adaptation import Draws, adapt, compare
from lexframe.audit import audit_points
from lexframe.exceptions import InputError
from lexframe.generative import edit_texts, nearest_texts, reconstruct_texts, sample_texts, traverse
from lexframe.instruments import MeanDifferenceEdit, VocabularyFrame, compare_paths, find_direction, frame_direction, steer, steered, trace
from lexframe.latents import TextReader, encode_to_store
from lexframe.spaces import LatentVariableSpace, Space, open_space
from tests.generative.toy_writer import ToyWriter
from tests.planted import planted_space
from tests.test_architecture import PUBLIC
from tests.tiny_models import tiny_space

OPENED_FIRST = {
    "Adapter": "was fitted on points of it; load_adapter takes a name",
    "TaskSpaceComparison": "its spaces are task spaces, which are results",
    "findings": "reads a task space, which is a result",
    "compare_task_spaces": "its spaces are task spaces, which are results",
    "steered": "what it changes is used inside",
    "task_vectors": "prompts go to the same model afterwards",
    "top_words": "reads vectors of an open model",
}
"""Public functions that take an open space alone, and why."""
HELD = {
    "list": list,
    "tuple": tuple,
    "Series": pd.Series,
    "array": np.array,
    "generator": iter,
    "column": lambda texts: pa.chunked_array([list(texts)]),
    "DataFrame": lambda texts: pd.DataFrame({"n": range(len(texts)), "text": texts}),
}

TEXTS = ("she spoke softly today", "he sang loudly now")


def public_functions():
    for package in PUBLIC:
        if package == "lexframe.studies":  # studies of ours, which open their models themselves
            continue
        home = importlib.import_module(package)
        for name in home.__all__:
            value = getattr(home, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                yield name, value


FUNCTIONS = dict(public_functions())


def test_every_public_function_that_takes_a_space_takes_the_name_of_one():
    refusing = [
        name
        for name, function in FUNCTIONS.items()
        for parameter in list(inspect.signature(function).parameters.values())[:1]
        if parameter.name in ("space", "spaces") and "PathLike" not in str(parameter.annotation) and name not in OPENED_FIRST
    ]
    assert not refusing


def test_every_public_function_that_takes_texts_takes_whatever_holds_them():
    refusing = [
        name
        for name, function in FUNCTIONS.items()
        if inspect.isfunction(function)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name in ("texts", "prompts", "samples") and "Sequence[str]" in str(parameter.annotation)
    ]
    assert not refusing


@pytest.fixture
def names(monkeypatch):
    """Models that can be opened by a name, and how often each was."""
    made = {"tiny": lambda: tiny_space("gpt2"), "writer": ToyWriter, "planted": planted_space}
    opened = []

    def of_name(model, **options):
        opened.append(model)
        return made[model]()

    monkeypatch.setattr("lexframe.spaces.registry.open_space", of_name)
    return opened


def test_a_name_opens_the_space(names, tmp_path):
    assert [found.prompt for found in trace("tiny", "the cat")] == ["the cat"]
    assert VocabularyFrame("tiny").nearest("cat")
    direction = find_direction("tiny", ["a cat", "the cat"], pd.Series(["a dog", "the dog"]), layers=[1])
    assert steer("tiny", direction, "the", layer=1, strength=0.1, max_new_tokens=2).prompts == ("the",)
    assert frame_direction("tiny", "cat", "dog").layers
    assert compare_paths("tiny", trace("tiny", ["a cat", "a dog"])).summary()
    assert len(reconstruct_texts("writer", TEXTS[0]).texts) == 1
    assert len(sample_texts("writer", 2).texts) == 2
    assert traverse("writer", TEXTS[0], amounts=(-1.0, 1.0)).text == TEXTS[0]
    assert audit_points("tiny", iter(["a cat", "a dog"]))[0].shape[0] == 2
    assert TextReader("tiny").encode("a cat").shape[0] == 1
    assert encode_to_store("tiny", "a cat", tmp_path / "one").n_texts == 1
    assert set(names) == {"tiny", "writer"}


def test_adapt_and_compare_take_names(names):
    given = {"text": ["invoice", "parcel"] * 6, "label": ["money", "parcel"] * 6}
    assert adapt("planted", given, given, methods="lda,logistic")[0].chosen
    draws = Draws((4,), (0,))
    assert compare("planted", given, given, methods="lda", draws=draws).models == ("planted",)
    assert compare(["planted", "planted"], given, given, methods="lda", draws=draws).models == ("planted", "planted (2)")
    assert compare({"one": "planted", "two": planted_space()}, given, given, methods="lda", draws=draws).models == ("one", "two")
    with pytest.raises(InputError, match="No model is given"):
        compare({}, given, given)


def test_what_is_no_space_is_refused_in_a_line(names, without_type_checks):
    with pytest.raises(InputError, match=r"space is NoneType; expected a space or the name of a model, as open_space\('embedded'\)"):
        Space.of(None)
    with pytest.raises(
        InputError, match=r"'planted' is a .*Space, and a LatentVariableSpace is needed: a generative model of texts"
    ) as caught:
        LatentVariableSpace.of("planted")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"open it once, space = open_space\('embedded'\)"), steered("tiny", None, layer=1, strength=1.0):
        pass
    space = planted_space()
    assert Space.of(space) is space
    assert names == ["planted"]


def test_a_path_is_a_name(tmp_path, without_type_checks):
    with pytest.raises(Exception, match="no-such-model"):
        open_space(tmp_path / "no-such-model")
    with pytest.raises(InputError, match="model is int"):
        open_space(3)


@pytest.mark.parametrize("kind", sorted(HELD))
def test_texts_are_taken_from_whatever_holds_them(kind, tmp_path):
    held, space = HELD[kind], ToyWriter()
    points = space.encode(list(TEXTS))
    np.testing.assert_array_equal(space.encode(held(TEXTS)), points)
    np.testing.assert_array_equal(space.posterior(texts=held(TEXTS)).means, space.posterior(list(TEXTS)).means)
    np.testing.assert_array_equal(TextReader(space).encode(held(TEXTS)), points)
    assert reconstruct_texts(space, held(TEXTS)).texts == TEXTS
    edit = MeanDifferenceEdit().fit(np.repeat(points, 2, axis=0), list("aabb"))
    assert edit_texts(space, held(TEXTS), edit).texts == TEXTS
    assert nearest_texts(held(TEXTS), held(TEXTS)).is_copy.all()
    assert encode_to_store(space, held(TEXTS), tmp_path / "store").n_texts == 2


def test_one_string_is_one_text():
    space = ToyWriter()
    assert reconstruct_texts(space, TEXTS[0]).texts == TEXTS[:1]
    assert space.posterior(TEXTS[0]).means.shape == (1, space.n_dims)
    assert nearest_texts(TEXTS[0], TEXTS).similarities.tolist() == [1.0]


@pytest.mark.parametrize("wrong", [["a", None], ["a", float("nan")], ["a", 3], ["a", b"b"]])
def test_what_is_no_text_is_named_by_its_place(wrong, tmp_path):
    space = ToyWriter()
    for call in (space.encode, space.posterior, lambda given: reconstruct_texts(space, given), lambda given: nearest_texts(given, TEXTS)):
        with pytest.raises(InputError, match=r"texts\[1\] is (missing|int 3|bytes)"):
            call(wrong)
    with pytest.raises(InputError, match=r"texts\[1\] is "):
        encode_to_store(space, wrong, tmp_path / "store")
    with pytest.raises(InputError, match="table with the columns 'a', 'b'"):
        space.encode(pd.DataFrame({"a": ["x"], "b": ["y"]}))


@pytest.mark.parametrize(
    "name", ["encode", "encode_representations", "generate", "log_likelihoods", "posterior", "prompt_lengths", "token_counts"]
)
def test_methods_of_spaces_get_a_list(name):
    kind = type("Recorder", (Space,), {name: lambda self, texts, *rest, **options: texts, "__abstractmethods__": frozenset()})
    kind.__abstractmethods__ = frozenset()
    assert getattr(kind(), name)("one text") == ["one text"]
    assert getattr(kind(), name)(texts=iter(["a", "b"])) == ["a", "b"]
