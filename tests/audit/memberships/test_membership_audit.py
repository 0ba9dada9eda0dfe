"""Items of several categories: what is wrong, what is missing, and what is said to bad input."""

import json

import numpy as np
import pytest

from lexframe import audit_memberships
from lexframe.audit import audit_cost
from lexframe.exceptions import InputError


@pytest.fixture(scope="module")
def planted():
    """Items of one or two topics; from every twentieth one topic is taken, to every twentieth a wrong one is added."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(6, 20)) * 2
    points, labels, removed, added = [], [], set(), set()
    for row in range(600):
        held = set(rng.choice(6, size=1 + row % 2, replace=False).tolist())
        points.append(sum(topics[k] for k in held) + rng.normal(size=20))
        if row % 20 == 1:
            removed.add((row, held.pop()))
        elif row % 20 == 0:
            wrong = next(k for k in range(6) if k not in held)
            held.add(wrong)
            added.add((row, wrong))
        labels.append([f"topic {k}" for k in sorted(held)])
    return np.array(points, np.float32), labels, removed, added


def test_wrong_and_missing_memberships_come_first(planted):
    points, labels, removed, added = planted
    found = audit_memberships(points, labels, texts=[f"item {row}" for row in range(600)])
    first = found.findings(40)
    truth = {("add", row, f"topic {k}") for row, k in removed} | {("remove", row, f"topic {k}") for row, k in added}
    assert np.mean([(one["kind"], one["row"], one["category"]) in truth for one in first]) > 0.85
    assert [one["probability"] for one in first] == sorted((one["probability"] for one in first), reverse=True)
    assert first[0]["text"] == f"item {first[0]['row']}"
    assert json.loads(json.dumps(found.to_dict(5)))["n_items"] == 600
    assert len(found.to_frame(7)) == 7
    assert "600 items" in found.summary()


def test_text_with_a_separator_is_the_same(planted):
    points, labels, _, _ = planted
    listed = audit_memberships(points, labels).findings(10)
    assert audit_memberships(points, ["; ".join(held) for held in labels], separator=";").findings(10) == listed


def test_bad_input_is_said(planted):
    points, labels, _, _ = planted
    with pytest.raises(InputError, match="expected a list of them"):
        audit_memberships(points, ["a"] * 600)
    with pytest.raises(InputError, match="600 points, but 3"):
        audit_memberships(points, labels[:3])
    with pytest.raises(InputError, match="but 1 texts"):
        audit_memberships(points, labels, texts=["one"])


def test_cost_grows_about_linearly():
    small, large = audit_cost(100_000, 384, 20), audit_cost(1_000_000, 384, 20)
    assert 8 < large[0] / small[0] < 11
    assert large[1] / small[1] < 11
    assert audit_cost(10_000, 384, 20, check=True)[0] > audit_cost(10_000, 384, 20)[0]
