"""What a result is worth, in words that nobody can misread."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lexframe.checks import plain
from lexframe.intervals import Estimate


class Worth(StrEnum):
    """What may be done with a result."""

    HOLDS = "holds"
    UNSURE = "unsure"
    WORTHLESS = "worthless"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a result can be used, and why.

    Attributes
    ----------
    worth : Worth
        ``holds``: it beats its control; ``unsure``: the data cannot tell; ``worthless``: it does not.
    reason : str
        One sentence with the figures, such as "Accuracy is .25, and always answering 'refund' gives .50."
    """

    worth: Worth
    reason: str

    def __str__(self) -> str:
        opening = {Worth.HOLDS: "", Worth.UNSURE: "Not shown to be of use: ", Worth.WORTHLESS: "Do not use this: "}[self.worth]
        return f"{opening}{self.reason[0].lower() + self.reason[1:] if opening else self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """``{"worth", "reason"}``, for JSON."""
        return {"worth": str(self.worth), "reason": plain(self.reason)}


def judged(gain: Estimate, reason: str) -> Verdict:
    """The verdict on a gain over a control: its interval has to lie above 0.

    Parameters
    ----------
    gain : Estimate
        Result minus control, larger being better, with an interval over the units that were drawn.
    reason : str
        The sentence with the figures.

    Returns
    -------
    Verdict
        ``worthless`` where the gain is 0 or less, or not a number; ``unsure`` where it is above 0 and its interval, if there is one,
        is not; a gain without an interval is ``unsure``, since nothing tells it from chance.
    """
    if not gain.value > 0:
        return Verdict(Worth.WORTHLESS, reason)
    interval = gain.interval
    return Verdict(Worth.HOLDS if interval is not None and interval[0] > 0 else Worth.UNSURE, reason)
