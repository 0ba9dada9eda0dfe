"""Python as people write it: texts and labels from whatever holds them."""

import numpy as np
import pandas as pd
import pytest

from lexframe import TextEncoder, VocabularyFrame, trace
from lexframe.adaptation import adapt
from lexframe.checks import texts_in
from lexframe.data import as_table
from lexframe.exceptions import DataError, InputError
from lexframe.spaces import ToySpace
from tests.planted import planted_space, planted_table
from tests.tiny_models import tiny_space

TEXTS, LABELS = ["a b", "c", "d"], ["x", "y", "x"]


class DataSet:
    """Named columns, as libraries of data sets have them."""

    column_names = ("text", "label")

    def __getitem__(self, name):
        return {"text": TEXTS, "label": LABELS}[name]


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"text": TEXTS, "label": LABELS}, index=[7, 8, 9]),
        {"text": TEXTS, "label": LABELS},
        DataSet(),
        (TEXTS, LABELS),
        (np.array(TEXTS), pd.Series(LABELS)),
        list(zip(TEXTS, LABELS, strict=True)),
        [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)],
        ((text, label) for text, label in zip(TEXTS, LABELS, strict=True)),
    ],
)
def test_one_table_out_of_all(given):
    table = as_table(given)
    assert (table.texts, table.labels) == (tuple(TEXTS), tuple(LABELS))
    assert as_table(table) is table


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("a text", InputError, "train is str"),
        (TEXTS, InputError, "pairs of text and label"),
        ((TEXTS, ["x"]), InputError, "3 texts and 1 labels"),
        ((["a", None], ["x", "y"]), InputError, r"texts of train\[1\] is missing"),
        ((["a", 3.5], ["x", "y"]), InputError, r"\[1\] is float 3.5"),
        ((TEXTS, ["x", float("nan"), "y"]), DataError, "1 labels of train are missing, the first in row 1"),
        (pd.DataFrame({"text": TEXTS}), DataError, "no column 'label'"),
        (([" "], ["x"]), DataError, "no text"),
    ],
)
def test_what_cannot_be_read_is_one_line(given, kind, message):
    with pytest.raises(kind, match=message):
        as_table(given)


def test_adapt_takes_them():
    train = planted_table(6, 0)
    by_table, _ = adapt(planted_space(), train, planted_table(4, 1), methods="lda")
    frame = pd.DataFrame({"text": train.texts, "label": train.labels})
    test = planted_table(4, 1)
    by_frame, adapter = adapt(planted_space(), frame, (list(test.texts), list(test.labels)), methods="lda")
    assert by_frame.methods["lda"].accuracy == by_table.methods["lda"].accuracy
    assert adapter.predict("invoice paid").labels == ("money",)
    with pytest.raises(InputError, match="texts is ndarray of shape"):
        adapter.predict(np.zeros((2, 8)))


def test_one_string_is_one_text_and_a_generator_is_read_once():
    space = planted_space()
    np.testing.assert_array_equal(space.encode("invoice paid"), space.encode(["invoice paid"]))
    np.testing.assert_array_equal(space.encode(text for text in ("card", "bed")), space.encode(["card", "bed"]))
    np.testing.assert_array_equal(space.encode(pd.Series(["card", "bed"], index=[4, 5])), space.encode(np.array(["card", "bed"])))
    assert tiny_space("gpt2").encode("the cat").shape == (1, tiny_space("gpt2").n_dims)
    assert len(trace(tiny_space("gpt2"), "the cat")) == 1


@pytest.mark.parametrize(
    ("given", "message"), [(b"a", "bytes"), (["a", b"b"], r"\[1\] is bytes"), ([None], r"\[0\] is missing"), (7, "int")]
)
def test_what_is_no_text_is_named_with_its_place(given, message):
    with pytest.raises(InputError, match=message):
        texts_in(given)
    with pytest.raises(InputError, match=message):
        planted_space().encode(given)


def test_spaces_results_and_frames_speak_for_themselves():
    space = tiny_space("gpt2")
    assert f"{space.n_dims} dimensions" in repr(space)
    assert "0x" not in repr(space) + repr(ToySpace({"a": [1.0]}))
    result, _ = adapt(planted_space(), planted_table(6, 0), planted_table(4, 1), methods="lda")
    assert repr(result).startswith("<AdaptationResult> With ")
    assert len(repr(result).splitlines()) < 24
    frame = VocabularyFrame(space)
    assert frame.nearest("cat", limit=3) == list(frame.card("cat", n_nearest=3).nearest)
    listed, named = frame.label_bases(["cat", "dog"]), frame.label_bases({"cat": "cat", "dog": ["dog"]})
    np.testing.assert_array_equal(listed.vectors, named.vectors)


def test_a_name_stands_for_a_space(monkeypatch):
    opened = []
    monkeypatch.setattr("lexframe.spaces.registry.open_space", lambda name: opened.append(name) or planted_space())
    encoder = TextEncoder("some model").fit(["card"])
    assert encoder.transform(["card", "bed"]).shape == (2, 8)
    assert opened == ["some model"]
