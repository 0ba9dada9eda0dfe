"""What adapt and compare do with next to nothing: methods are left out with their reason, and what cannot go on is one line."""

import numpy as np
import pytest

from lexframe.adaptation import Draws, adapt, compare
from lexframe.exceptions import DataError, InputError
from tests.planted import planted_space

FOUR = (["invoice paid", "card charge", "parcel courier", "shipped parcel"], ["money", "money", "parcel", "parcel"])


def test_a_method_that_needs_more_labels_is_left_out_and_the_others_go_on():
    result, _ = adapt(planted_space(), FOUR, methods="lda,logistic,knn")
    assert result.counts["train"] == 2
    assert set(result.methods) == {"logistic", "knn"}
    assert "more labeled texts than labels, and has 2 for 2" in result.left_out["lda"]
    assert result.chosen in result.methods


def test_compare_leaves_it_out_too(monkeypatch):
    from lexframe.adaptation.methods.linear import LDA

    monkeypatch.setattr(LDA, "least_shots", 1)
    found = compare({"toy": planted_space()}, FOUR, FOUR, methods="lda,logistic", draws=Draws((1,), (0, 1)))
    assert found.methods == ("logistic",)
    assert "has 2 for 2" in found.left_out["lda"]


def test_no_method_left_is_one_line():
    with pytest.raises(InputError, match="No method can work here: lda: lda needs more labeled texts") as caught:
        adapt(planted_space(), FOUR, methods="lda")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("run", [lambda *given: adapt(*given, methods="lda,logistic"), compare])
def test_what_cannot_go_on_is_one_line(run):
    space = planted_space()
    whole = (FOUR[0] * 3, FOUR[1] * 3)
    for train, test, says in (
        (whole, ([], []), "test holds no text"),
        (([], []), whole, "train holds no text"),
        ((FOUR[0], ["money"] * 4), whole, "one class only"),
        (whole, (["invoice"], ["fruit"]), "fruit"),
    ):
        with pytest.raises((DataError, InputError), match=says) as caught:
            run(space, train, test)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("run", [lambda *given: adapt(*given, methods="lda,logistic"), lambda *given: compare(*given, methods="lda")])
def test_points_that_are_no_numbers_are_refused(run, monkeypatch):
    space = planted_space()
    for name in ("encode", "encode_representations"):
        read = getattr(type(space), name)
        monkeypatch.setattr(type(space), name, lambda self, *given, read=read, **options: read(self, *given, **options) * np.nan)
    whole = (FOUR[0] * 3, FOUR[1] * 3)
    with pytest.raises(
        (DataError, InputError), match=r"24 of 24 texts have points that are not finite, the first is .invoice paid"
    ) as caught:
        run(space, whole, whole)
    assert "\n" not in str(caught.value)
