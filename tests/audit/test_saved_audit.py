"""An audit that was kept makes the same report, sheet and ranking as the one it was."""

import dataclasses

import numpy as np
import pytest

from lexframe import CategoryAudit
from lexframe.artifacts import write_artifact
from lexframe.audit import AuditResult, Decisions
from lexframe.audit.page import audit_report
from lexframe.exceptions import DataError, InputError
from lexframe.provenance import SpaceFingerprint
from tests.audit.planted import gaussian_items

NAMES = np.array(["a, b", "line\nbreak", "7", "ä"])


@pytest.fixture(scope="module")
def items():
    return gaussian_items(n=300, d=6, k=4, spread=1.3, wrong=0.06, seed=0)


@pytest.fixture(scope="module", params=["texts and check", "points alone"])
def result(items, request):
    if request.param == "points alone":
        return CategoryAudit(duplicates=False, relations=False).fit(items.points, NAMES[items.given]).result_
    texts = [f"item {row} naïve" for row in range(299)] + ["item 0 naïve"]
    decisions = Decisions.from_lists([3, 5], ["keep", "nowhere"], ["", ""], ["", ""])
    space = SpaceFingerprint(kind="ToySpace", model="toy", weights="w")
    return CategoryAudit(check=True).fit(items.points, NAMES[items.given], texts=texts, decisions=decisions, space=space).result_


def equal(found, expected, name):
    assert type(found) is type(expected), name
    if dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            equal(getattr(found, field.name), getattr(expected, field.name), f"{name}.{field.name}")
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, name
        np.testing.assert_array_equal(found, expected, err_msg=name)
    else:
        assert found == expected, name


def test_every_field_comes_back(result, tmp_path):
    result.save(tmp_path / "kept")
    found = AuditResult.load(tmp_path / "kept")
    equal(dataclasses.replace(found, seconds={}), dataclasses.replace(result, seconds={}), "audit")
    assert found.seconds == pytest.approx(result.seconds)
    assert found.to_dict() == result.to_dict()
    assert found.summary() == result.summary()
    pages = [audit_report(each, tmp_path / "page.html").read_text() for each in (found, result)]
    assert pages[0] == pages[1]


def test_what_is_no_number_stays_none(result, tmp_path):
    strange = dataclasses.replace(result, similar_share=float("nan"))
    strange.save(tmp_path)
    assert np.isnan(AuditResult.load(tmp_path).similar_share)


def test_what_is_damaged_is_named(result, tmp_path):
    kept = result.to_artifact()
    without = {name: array for name, array in kept.arrays.items() if name != "posterior/informed"}
    for change in ({"arrays": without}, {"parameters": {}}, {"parameters": kept.parameters | {"posterior": None}}):
        write_artifact(dataclasses.replace(kept, **change), tmp_path)
        with pytest.raises(DataError, match="damaged audit"):
            AuditResult.load(tmp_path)


def test_half_a_character_cannot_be_kept(items, tmp_path):
    texts = [f"item {row}" for row in range(299)] + ["half \ud800"]
    found = CategoryAudit(duplicates=False, relations=False).fit(items.points, NAMES[items.given], texts=texts).result_
    with pytest.raises(InputError, match="The audit cannot be kept"):
        found.save(tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
