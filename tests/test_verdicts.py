import numpy as np
import pytest

from lexframe.intervals import Estimate
from lexframe.verdicts import Verdict, Worth, judged


@pytest.mark.parametrize(
    ("gain", "worth"),
    [
        (Estimate(0.2, 0.1, 0.3), Worth.HOLDS),
        (Estimate(0.2, 0.0, 0.3), Worth.UNSURE),
        (Estimate(0.2, -0.1, 0.3), Worth.UNSURE),
        (Estimate(0.2, np.nan, np.nan), Worth.UNSURE),
        (Estimate(0.0, -0.1, 0.1), Worth.WORTHLESS),
        (Estimate(-0.2, -0.3, -0.1), Worth.WORTHLESS),
        (Estimate(np.nan, np.nan, np.nan), Worth.WORTHLESS),
    ],
)
def test_only_an_interval_above_zero_holds(gain, worth):
    assert judged(gain, "It is so.").worth is worth


def test_what_is_worthless_says_so_in_words():
    assert str(Verdict(Worth.WORTHLESS, "Accuracy is .25.")) == "Do not use this: accuracy is .25."
    assert str(Verdict(Worth.UNSURE, "Accuracy is .25.")) == "Not shown to be of use: accuracy is .25."
    assert str(Verdict(Worth.HOLDS, "Accuracy is .25.")) == "Accuracy is .25."


def test_a_verdict_goes_into_json():
    assert Verdict(Worth.UNSURE, "Why.").to_dict() == {"worth": "unsure", "reason": "Why."}
