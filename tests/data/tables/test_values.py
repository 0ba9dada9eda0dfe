"""Cells as texts, labels and plain values."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from lexframe.data.tables.values import OddValueError, label_of, plain_of, text_of

MISSING = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, decimal.Decimal("NaN")]


@pytest.mark.parametrize("value", MISSING)
def test_missing_ones(value):
    assert (text_of(value), label_of(value), plain_of(value)) == ("", "", None)


@pytest.mark.parametrize(
    ("value", "text"),
    [("nan", "nan"), ("", ""), (" x ", " x "), (0, "0"), (0.0, "0"), (-0.0, "0"), (1.5, "1.5"), (2.0**53, "9007199254740992"),
     (1e300, "1e+300"),
     (float("inf"), "inf"), (True, "True"), (10**30, "1" + "0" * 30), (datetime.time(1, 2), "01:02:00"), (b"x", "x"),
     (datetime.timedelta(hours=1), "1:00:00")],
)  # fmt: skip
def test_texts(value, text):
    assert text_of(value) == text
    assert label_of(value) == text.strip()


def test_plain_values_keep_their_types():
    assert [plain_of(value) for value in (1, 1.0, True, "1", datetime.date(2026, 1, 1))] == [1, 1.0, True, "1", "2026-01-01"]


@pytest.mark.parametrize(
    ("value", "message"),
    [(["a"], "a list"), ({}, "an object"), (b"\xff", "bytes"), ("a\0", "NUL"), ("\ud83d", "surrogate"), (object(), "object, not text")],
)
def test_odd_ones(value, message):
    with pytest.raises(OddValueError, match=message):
        text_of(value)
