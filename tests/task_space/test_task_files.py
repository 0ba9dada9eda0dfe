"""Every form of file gives the pairs that stand in it, and what cannot be read is said with its place."""

import gzip
import json

import pytest

from lexframe.exceptions import DataError, InputError
from lexframe.task_space.task_files import read_tasks
from lexframe.task_space.tasks import Contrast, Task

LABELED = [{"text": f"text {number}", "label": "abc"[number % 3]} for number in range(60)]


@pytest.fixture
def written(tmp_path):
    """Writes rows, or text as it is, under a name."""

    def write(rows, name="pairs.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
        return path

    return write


def pairs(number, **more):
    return [{"good": f"good {place}", "bad": f"bad {place}", **more} for place in range(number)]


def test_pairs_keep_their_order_and_what_stands_beside_them(written):
    rows = [
        {"good": "She runs.", "bad": "She run.", "task": "agreement", "group": "number", "field": "morphology"},
        {"good": "Who came?", "bad": "Came who?", "task": "order", "group": " "},
        {"good": "He runs.", "bad": "He run.", "task": "agreement", "group": "number", "field": "morphology", "pair": 7},
    ]
    assert read_tasks(written(rows)) == [
        Task("agreement", (Contrast("She runs.", "She run."), Contrast("He runs.", "He run.")), "number", "morphology"),
        Task("order", (Contrast("Who came?", "Came who?"),)),
    ]


@pytest.mark.parametrize("name", ["odd.csv", "odd.tsv", "odd.csv.gz"])
def test_a_file_without_a_column_of_tasks_is_one_task(written, name):
    mark = "," if "csv" in name else "\t"
    path = written(f"good{mark}bad\nA dog{mark}Dog a\nTwo{mark}to\n", name)
    assert read_tasks(str(path)) == [Task("odd", (Contrast("A dog", "Dog a"), Contrast("Two", "to")))]


def test_parquet_is_read_too(tmp_path):
    import pandas as pd

    pd.DataFrame({"good": ["a b"], "bad": ["b a"], "task": [3]}).to_parquet(tmp_path / "pairs.parquet")
    assert read_tasks(tmp_path / "pairs.parquet") == [Task("3", (Contrast("a b", "b a"),))]


@pytest.mark.parametrize("uid", ["uid", "UID"])
def test_slips_of_blimp_are_put_right_in_its_rows_alone(written, uid):
    row = {"sentence_good": "a", "sentence_bad": "b", "linguistics_term": "s-selection", "field": "syntax/semantics"}
    task = read_tasks(written([row | {uid: "x"}]))[0]
    assert (task.name, task.group, task.field) == ("x", "argument_structure", "syntax_semantics")
    other = {"good": "a", "bad": "b", "task": "x", "group": "s-selection", "field": "syntax/semantics"}
    task = read_tasks(written([other]))[0]
    assert (task.group, task.field) == ("s-selection", "syntax/semantics")


@pytest.mark.parametrize(
    ("prompt", "right", "read"),
    [
        ("The sky is", "blue", " blue"),
        ("The sky is ", "blue", "blue"),
        ("The sky is\n", "blue", "blue"),
        ("The sky is", " blue", " blue"),
        ("", "blue", "blue"),
    ],
)
def test_a_blank_stands_between_prompt_and_continuation_once(written, prompt, right, read):
    task = read_tasks(written([{"prompt": prompt, "right": right, "wrong": "x y", "task": "t"}]))[0]
    assert task.pairs[0].good == read
    assert task.pairs[0].prompt == prompt
    assert task.pairs[0].bad.strip() == "x y"


def test_pairs_may_have_a_prompt(written):
    task = read_tasks(written([{"prompt": "Say:", "good": "yes", "bad": "no"}]))[0]
    assert task.pairs == (Contrast(" yes", " no", "Say:"),)


def test_labeled_texts_are_one_task_with_wrong_labels_drawn_at_random(written):
    path = written(LABELED, "topics.jsonl.gz")
    words = {"a": "alpha", "b": ["beta", "second"], "c": "gamma", "unused": "delta"}
    (task,) = read_tasks(path, template="{text} is", label_words=words)
    assert (task.name, task.group, task.field, len(task.pairs)) == ("topics", None, None, 60)
    word_of = {"a": " alpha", "b": " beta", "c": " gamma"}
    for row, pair in zip(LABELED, task.pairs, strict=True):
        assert pair.prompt == f"{row['text']} is"
        assert pair.good == word_of[row["label"]]
    seen = {(pair.good, pair.bad) for pair in task.pairs}
    assert seen == {(good, bad) for good in word_of.values() for bad in word_of.values() if good != bad}
    assert read_tasks(path, template="{text} is", label_words=words) == [task]
    assert read_tasks(path, template="{text} is", label_words=words, seed=1) != [task]


def test_labels_are_their_own_words_and_columns_have_any_name(written):
    (task,) = read_tasks(written("Review,Mood\nfine,good mood\npoor,bad mood\n", "a.csv"), text_column="Review", label_column="Mood")
    assert task.pairs == (Contrast(" good mood", " bad mood", "fine"), Contrast(" bad mood", " good mood", "poor"))


def test_at_most_so_many_pairs_are_drawn_whatever_stands_beside(written):
    path = written([*pairs(50, task="a"), *pairs(4, task="b")])
    alone = read_tasks(written(pairs(50, task="a"), "alone.jsonl"), most=10)[0]
    a, b = read_tasks(path, most=10)
    assert a == alone
    assert [len(task.pairs) for task in (a, b)] == [10, 4]
    places = [int(pair.good.split()[1]) for pair in a.pairs]
    assert places == sorted(set(places))
    assert places != list(range(10))
    assert read_tasks(path, most=10, seed=1)[0] != a


def test_several_files_join(written):
    first = written([*pairs(1, task="a", group="g"), *pairs(1, task="b")], "one.jsonl")
    second = written(pairs(2, task="a", group="g"), "two.jsonl")
    found = read_tasks([first, second])
    assert [(task.name, task.group, len(task.pairs)) for task in found] == [("a", "g", 3), ("b", None, 1)]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (pairs(1, task="a", group="h"), r"two\.jsonl, line 1: the task 'a' has the group 'h' here and 'g' in .*one\.jsonl, line 1"),
        (pairs(1, task="a"), "the group None here"),
        (pairs(1, task="a", group="g", field="f"), "the field 'f' here and None"),
    ],
)
def test_one_task_has_one_group(written, second, said):
    with pytest.raises(DataError, match=said):
        read_tasks([written(pairs(1, task="a", group="g"), "one.jsonl"), written(second, "two.jsonl")])


def test_files_of_one_name_are_not_taken_for_one_task(written):
    with pytest.raises(DataError, match="Rename a file"):
        read_tasks([written(LABELED, "x/test.jsonl"), written(LABELED, "y/test.jsonl")])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"good": "a", "bad": "b"}, {"good": "a"}], "line 2: the field 'bad' is missing"),
        ([{"good": "a", "bad": None}], "line 1: the field 'bad' is missing"),
        ([{"good": 3, "bad": "b"}], "the field 'good' holds int, not text"),
        ([{"good": "a", "bad": " "}], "the field 'bad' is empty"),
        ([{"good": "a", "bad": "b\0"}], "the field 'bad' holds a NUL byte"),
        ([{"good": "a", "bad": "b", "task": ["x"]}], "the field 'task'"),
        ([{"good": "a", "bad": "b", "task": ""}], "the field 'task' is empty"),
        ([*pairs(1, task="x"), *pairs(1)], "line 2: some rows of this file name their task"),
        ([*pairs(1), *pairs(1, task="x")], "line 2: some rows of this file name their task"),
        ([*pairs(1, task="x", group="g"), *pairs(1, task="x")], "line 2: the task 'x' has the group None here"),
        ([{"right": "a", "wrong": "b"}], "the columns are 'right', 'wrong'. Expected good and bad .*text and label"),
        ([{"prompt": "a", "right": "b", "wrong": "c"}, {"right": "b", "wrong": "c"}], "line 2: the field 'prompt' is missing"),
        ("a text a line\n", "line 1: not JSON"),
        ("", "holds no row"),
        ([{"text": "a", "label": "x"}, {"text": "b", "label": None}], "line 2: the field 'label' is missing"),
        ([{"text": "a", "label": "x"}, {"label": "y"}], "line 2: the field 'text' is missing"),
        ([{"text": "a", "label": "x"}, {"text": "b", "label": "x"}], "every text has the label 'x'"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(written, rows, said):
    with pytest.raises(DataError, match=rf"pairs\.jsonl.*{said}"):
        read_tasks(written(rows))


def test_labels_need_words_of_their_own(written):
    path = written(LABELED)
    with pytest.raises(DataError, match=r"line 3: the label 'c' has no word; there are words for 'a', 'b'"):
        read_tasks(path, label_words={"a": "x", "b": "y"})
    with pytest.raises(DataError, match="the labels 'a' and 'c' have one word"):
        read_tasks(path, label_words={"a": "x", "b": "y", "c": " x"})


def test_settings_that_cannot_be(written):
    path = written(pairs(2))
    with pytest.raises(InputError, match="most is 0"):
        read_tasks(path, most=0)
    with pytest.raises(InputError, match="exactly once"):
        read_tasks(path, template="none")
    with pytest.raises(InputError, match="No file is named"):
        read_tasks([])
    with pytest.raises(DataError, match="named twice"):
        read_tasks([path, str(path)])
    with pytest.raises(DataError, match="no such file"):
        read_tasks("none.jsonl")
