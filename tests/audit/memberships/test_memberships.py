"""Labels to numbers: by hand, against scikit-learn's encoders, and everything wrong one by one."""

import time

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelEncoder, MultiLabelBinarizer

from lexframe.audit.memberships.memberships import Memberships, multi_label, single_label, split_labels
from lexframe.exceptions import InputError

labels = st.sampled_from(["a", "b", "10", "2", "a, b", "x\ny", " a", "A", "é"])


@given(st.lists(labels, min_size=2, max_size=30).filter(lambda chosen: len(set(chosen)) > 1))
def test_single_labels_against_scikit_learn(chosen):
    found = single_label(tuple(chosen))
    oracle = LabelEncoder().fit(chosen)
    assert list(found.categories) == oracle.classes_.tolist()
    np.testing.assert_array_equal(found.numbers, oracle.transform(chosen))
    np.testing.assert_array_equal(found.counts, np.bincount(oracle.transform(chosen)))
    assert not found.is_multi
    assert len(found) == len(chosen)
    np.testing.assert_array_equal(found.to_matrix().toarray(), np.eye(len(found.categories), dtype=bool)[found.numbers])
    assert [found.of(row) for row in range(len(chosen))] == [(label,) for label in chosen]


@given(st.lists(st.lists(labels, max_size=5), min_size=1, max_size=20).filter(lambda rows: len({x for row in rows for x in row}) > 1))
def test_several_labels_against_scikit_learn(rows):
    found = multi_label(rows)
    oracle = MultiLabelBinarizer().fit(rows)
    assert list(found.categories) == list(oracle.classes_)
    assert found.matrix.dtype == bool
    assert isinstance(found.matrix, scipy.sparse.csr_array)
    np.testing.assert_array_equal(found.matrix.toarray(), oracle.transform(rows).astype(bool))
    np.testing.assert_array_equal(found.counts, oracle.transform(rows).sum(axis=0))
    assert found.is_multi
    assert len(found) == len(rows)
    assert [found.of(row) for row in range(len(rows))] == [tuple(sorted(set(row))) for row in rows]
    assert found.to_dict()["counts"] == dict(zip(found.categories, found.counts.tolist(), strict=True))


def test_a_column_with_a_separator():
    found = split_labels(["b; a", "a;", "", "a;;c, d;a"], ";")
    assert found.categories == ("a", "b", "c, d")
    np.testing.assert_array_equal(found.matrix.toarray(), [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1]])
    assert split_labels(["a", "b"], "|").counts.tolist() == [1, 1]  # never found: one label each
    assert split_labels(["a || b"], "||").of(0) == ("a", "b")


def test_a_million_labels_take_seconds():
    names = [f"category {i % 10_000}" for i in range(1_000_000)]
    start = time.process_time()
    assert single_label(names).counts.tolist() == [100] * 10_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: single_label([]), "no labels"),
        (lambda: single_label(["a", "a"]), "all items are in 'a'"),
        (lambda: single_label(["a", "", "b", " "]), "Rows without a label: 1, 3"),
        (lambda: single_label(["a", None, "b"]), "Rows without a label: 1"),
        (lambda: single_label(["a", float("nan"), "b"]), "Rows without a label: 1"),
        (lambda: single_label([*("" for _ in range(9)), "b"]), "0, 1, 2, 3, 4 and 4 more"),
        (lambda: single_label(["a", 3]), "3 is int .rows 1.. Write it as '3'"),
        (lambda: multi_label([["a"], [], ["b", ""]]), "Rows without a label: 2"),
        (lambda: multi_label([["a"], "b"]), "Row 1 of the labels is 'b', not a list"),
        (lambda: multi_label([["a"], None]), "Row 1 of the labels is None"),
        (lambda: multi_label([[], []]), "no item has one"),
        (lambda: multi_label([["a"], ["a"]]), "all items are in 'a'"),
        (lambda: multi_label([]), "no labels"),
        (lambda: split_labels(["a"], ""), "separator of labels is empty"),
        (lambda: split_labels(["a;b", None], ";"), "Row 1 of the labels is None, not text"),
        (lambda: Memberships(("b", "a"), numbers=np.zeros(2, np.int64)), "not sorted"),
        (lambda: Memberships(("a", "b")), "not both and not neither"),
        (lambda: Memberships(("a", "b"), numbers=np.array([0, 2])), "from 0 to 2; expected 0 to 1"),
        (lambda: Memberships(("a", "b"), matrix=scipy.sparse.csr_array((2, 3), dtype=bool)), "expected bool with 2 columns"),
    ],
)
def test_what_is_wrong_is_said(make, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        make()
