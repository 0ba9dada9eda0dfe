"""Hierarchies of categories: closed forms on small ones, networkx-free walks on random ones, everything wrong one by one."""

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.audit.category_tree import CategoryTree
from lexframe.exceptions import DataError, InputError

ANIMALS = {"cat": "animal", "dog": "animal", "oak": "plant", "animal": "living", "plant": "living", "living": None}


def test_a_small_hierarchy_by_hand():
    tree = CategoryTree.from_parents(ANIMALS, ["dog", "cat", "oak", "stone"])
    assert tree.leaves == ("cat", "dog", "oak", "stone")
    assert tree.categories == ("animal", "cat", "dog", "living", "oak", "plant", "stone")
    assert tree.levels() == (("living", "stone"), ("animal", "plant"), ("cat", "dog", "oak"))
    assert tree.ancestors("cat") == ("animal", "living")
    assert tree.ancestors("living") == ()
    assert tree.path("oak") == ("living", "plant", "oak")
    assert tree.groups().tolist() == [0, 0, 1, 2]  # animal, animal, plant, and stone by itself
    assert tree.groups().dtype == np.int64
    assert tree.groups(["oak", "cat", "animal"]).tolist() == [2, 0, 1]  # animal stands under living
    assert json.loads(json.dumps(tree.to_dict()))["parents"] == dict(sorted(tree.parents.items()))


def test_a_category_that_items_carry_may_have_children():
    tree = CategoryTree.from_parents({"cat": "animal"}, ["cat", "animal", "stone"])
    assert tree.groups(["animal", "cat", "stone"]).tolist() == [0, 0, 1]
    assert CategoryTree.from_parents({"cat": "animal"}, roots=["animal"]).leaves == ("cat",)
    assert CategoryTree.from_parents({"cat": "animal", "animal": ""}).parents["animal"] is None


def test_from_rows_a_parent_that_is_no_label_stands_at_the_top():
    tree = CategoryTree.from_rows(["b", "a", "b", "c"], ["x", "x", "x", None])
    assert tree.parents == {"a": "x", "b": "x", "c": None, "x": None}
    assert tree.leaves == ("a", "b", "c")
    assert tree.groups().tolist() == [1, 1, 0]
    assert CategoryTree.from_rows(["a", "a"], [None, ""]).parents == {"a": None}
    assert CategoryTree.from_rows([], []).levels() == ()


NAMES = ["1", "2.0", "a, b", "line\nbreak", 'quo"te', "ünï", "=1+1", "; x"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_names_of_any_text_through_a_file(tmp_path, suffix):
    import csv

    rows = [(name, "top, of\nall") for name in NAMES] + [("top, of\nall", ""), (NAMES[0], "top, of\nall")]
    path = tmp_path / f"tree.{suffix}"
    if suffix == "jsonl":
        path.write_text("\n".join(json.dumps({"category": a, "parent": b or None}) for a, b in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter="," if suffix == "csv" else "\t").writerows([("category", "parent"), *rows])
    tree = CategoryTree.from_file(path)
    assert set(tree.categories) == {*NAMES, "top, of\nall"}
    assert tree.leaves == tuple(sorted(NAMES))
    assert all(tree.path(name) == ("top, of\nall", name) for name in NAMES)
    assert CategoryTree.from_file(path, ["2.0", "new"]).leaves == ("2.0", "new")


def test_numbers_that_json_has_typed_are_their_text(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"category": 7, "parent": 1}\n{"category": "1", "parent": null}\n')
    assert CategoryTree.from_file(tmp_path / "t.jsonl").parents == {"1": None, "7": "1"}


@given(st.lists(st.integers(-1, 30), min_size=1, max_size=30), st.randoms())
def test_random_forests_against_the_obvious_walk(draws, random):
    """Node i hangs under an earlier node, in shuffled order."""
    nodes = {f"n{i}": (None if draw < 0 or i == 0 else f"n{draw % i}") for i, draw in enumerate(draws)}
    items = list(nodes.items())
    random.shuffle(items)
    tree = CategoryTree.from_parents(dict(items))
    for name in nodes:
        walked, node = [], nodes[name]
        while node:
            walked.append(node)
            node = nodes[node]
        assert list(tree.ancestors(name)) == walked
        assert name in tree.levels()[len(walked)]
    groups = tree.groups()
    for one, first in zip(groups, tree.leaves, strict=True):
        for other, second in zip(groups, tree.leaves, strict=True):
            assert (one == other) == ((nodes[first] or first) == (nodes[second] or second))


def test_deep_and_wide_hierarchies_are_quick():
    start = time.process_time()
    deep = CategoryTree.from_parents({str(i): (str(i + 1) if i < 9999 else None) for i in range(10_000)})
    assert len(deep.levels()) == 10_000
    labels = [f"c{i % 10_000}" for i in range(300_000)]
    wide = CategoryTree.from_rows(labels, [f"p{i % 100}" for i in range(300_000)])
    assert len(np.unique(wide.groups())) == 100
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CategoryTree.from_parents({"a": "b", "b": "c", "c": "a", "d": "a"}), "'a' → 'b' → 'c' → 'a'"),
        (lambda: CategoryTree.from_parents({str(i): str((i + 1) % 50) for i in range(50)}), "'0' → '1' → '2' → '3' → … → '47'"),
        (lambda: CategoryTree.from_parents({"a": "a"}), "'a' is its own parent. Leave the parent empty"),
        (lambda: CategoryTree.from_parents({"a": "x", "b": "y"}, ["a", "b"]), "2 parents are no categories: 'x' .above 'a'., 'y'"),
        (lambda: CategoryTree.from_parents({"a": "b"}, ["b"], roots=["a"]), "'a' is declared a root, but has the parent 'b'"),
        (lambda: CategoryTree.from_parents({"a": None, " ": "a"}), "empty name"),
        (lambda: CategoryTree.from_rows(["a", "b", "a"], ["x", "x", "y"]), r"'a' has two parents: 'x' \(row 0\) and 'y' \(row 2\)"),
        (lambda: CategoryTree.from_rows(["a", "a"], ["", "y"]), r"'a' has two parents: none \(row 0\) and 'y' \(row 1\)"),
        (lambda: CategoryTree.from_rows(["a"], ["x", "y"]), "1 labels, but 2 parents"),
        (lambda: CategoryTree.from_rows(["a", "b"], ["b", "a"]), "circle"),
        (lambda: CategoryTree.from_parents({"a": None}).ancestors("b"), "no category 'b'; it has 'a'"),
        (lambda: CategoryTree.from_parents({"a": None}).groups(["a", "b"]), "1 categories are not in the hierarchy: 'b'"),
        (lambda: CategoryTree.from_parents({1: None}), "1 is int, not text. Write it as '1'"),
        (lambda: CategoryTree.from_rows(["a"], [float("nan")]), "nan is float, not text"),
    ],
)
def test_what_is_wrong_is_said(make, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("category,parent\na,x\nb,x\nx,\na,\n", "'a' has the parent 'x' on row 1 and none on row 4"),
        ("category,parent\na,b\nb,a\n", "t.csv: The hierarchy goes round in a circle: 'a' → 'b' → 'a'"),
        ("category,parent\na,x\n", "t.csv: 1 parent is no category"),
        ("category,parent\n,x\n", "row 1: no category"),
        (
            "category,above\na,x\n",
            "no field 'parent'; there are 'category', 'above'. Name the column that is meant. A hierarchy has the columns",
        ),
        ("name,parent\na,x\n", "no field 'category'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DataError, match=message) as raised:
        CategoryTree.from_file(tmp_path / "t.csv")
    assert "--text" not in str(raised.value)
    with pytest.raises(DataError, match="no such file"):
        CategoryTree.from_file(tmp_path / "none.csv")
