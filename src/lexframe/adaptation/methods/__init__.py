"""Every way to adapt a frozen model, one a file; a name makes it."""

from collections.abc import Callable

from lexframe.adaptation.problem import Method
from lexframe.exceptions import InputError


def _zero_shot() -> Method:
    from lexframe.adaptation.methods.zero_shot import ZeroShot

    return ZeroShot()


def _contextual() -> Method:
    from lexframe.adaptation.methods.zero_shot import ContextualCalibration

    return ContextualCalibration()


def _batch() -> Method:
    from lexframe.adaptation.methods.zero_shot import BatchCalibration

    return BatchCalibration()


def _nearest_basis() -> Method:
    from lexframe.adaptation.methods.zero_shot import NearestBasisZeroShot

    return NearestBasisZeroShot()


def _random_demonstrations() -> Method:
    from lexframe.adaptation.methods.in_context import RandomInContext

    return RandomInContext()


def _nearest_demonstrations() -> Method:
    from lexframe.adaptation.methods.in_context import NearestInContext

    return NearestInContext()


def _knn_prompting() -> Method:
    from lexframe.adaptation.methods.knn_prompting import KNNPrompting

    return KNNPrompting()


def _nearest_points() -> Method:
    from lexframe.adaptation.methods.nearest_points import NearestPoints

    return NearestPoints()


def _class_mean() -> Method:
    from lexframe.adaptation.methods.class_mean import ClassMean

    return ClassMean()


def _lda() -> Method:
    from lexframe.adaptation.methods.linear import LDA

    return LDA()


def _logistic() -> Method:
    from lexframe.adaptation.methods.linear import Logistic

    return Logistic()


def _calibration(variant: str) -> Callable[[], Method]:
    def make() -> Method:
        from lexframe.adaptation.methods.semantic_calibration import Calibration

        return Calibration(variant)

    return make


def _posterior(prior: bool = True, unlabeled: bool = True, representations: str = "all") -> Callable[[], Method]:
    def make() -> Method:
        from lexframe.adaptation.methods.posterior import Posterior

        return Posterior(prior=prior, unlabeled=unlabeled, representations=representations)

    return make


def _lora() -> Method:
    from lexframe.adaptation.methods.peft import LoRA

    return LoRA()


def _ia3() -> Method:
    from lexframe.adaptation.methods.peft import IA3

    return IA3()


def _fine_tuning() -> Method:
    from lexframe.adaptation.methods.fine_tuning import FineTuning

    return FineTuning()


def _setfit() -> Method:
    from lexframe.adaptation.methods.setfit import SetFit

    return SetFit()


_MAKERS: dict[str, Callable[[], Method]] = {
    "zero-shot": _zero_shot,
    "contextual-calibration": _contextual,
    "batch-calibration": _batch,
    "nearest-basis": _nearest_basis,
    "icl-random": _random_demonstrations,
    "icl-nearest": _nearest_demonstrations,
    "knn-prompting": _knn_prompting,
    "knn": _nearest_points,
    "class-mean": _class_mean,
    "lda": _lda,
    "logistic": _logistic,
    "vds": _calibration("vds"),
    "posterior": _posterior(),
    "posterior-labels-only": _posterior(unlabeled=False),
    "lora": _lora,
    "ia3": _ia3,
    "fine-tuning": _fine_tuning,
    "setfit": _setfit,
}
_ABLATIONS: dict[str, Callable[[], Method]] = {
    "vds-cosine": _calibration("vds-cosine"),
    "vds-vocabulary": _calibration("vds-vocabulary"),
    "vds-gold": _calibration("vds-gold"),
    "vds-similarity-matrix": _calibration("vds-similarity-matrix"),
    "vds-matrix-similarity": _calibration("vds-matrix-similarity"),
    "vds-matrix": _calibration("vds-matrix"),
    "posterior-without-prior": _posterior(prior=False),
    "posterior-own-points": _posterior(representations="own"),
}
METHOD_NAMES = tuple(_MAKERS)
ABLATION_NAMES = tuple(_ABLATIONS)
_SLOW = {"icl-random", "icl-nearest", "knn-prompting", "lora", "ia3", "fine-tuning", "setfit"}
GROUPS = {
    "all": METHOD_NAMES,
    "quick": tuple(name for name in METHOD_NAMES if name not in _SLOW),
    "ablations": ABLATION_NAMES,
}


def make_methods(names: str) -> list[Method]:
    """Methods by name.

    Parameters
    ----------
    names : str
        Comma-separated. ``all`` stands for every method, ``quick`` for those that run the model once a text, ``ablations``
        for variants that show what a part of a method adds.

    Returns
    -------
    list of Method
        In the order of the tables, none twice.

    Raises
    ------
    InputError
        If there is no such method.
    """
    makers = _MAKERS | _ABLATIONS
    asked: set[str] = set()
    for name in (part.strip() for part in names.split(",")):
        if name not in makers and name not in GROUPS:
            raise InputError(f"There is no method {name!r}; there are {', '.join([*makers, *GROUPS])}.")
        asked.update(GROUPS.get(name, (name,)))
    return [make() for name, make in makers.items() if name in asked]
