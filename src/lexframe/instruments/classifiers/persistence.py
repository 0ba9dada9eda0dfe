"""Fitted instruments as safetensors and JSON: nothing in the folder can run when it is opened."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lexframe.exceptions import DataError
from lexframe.files import replacing, write_json
from lexframe.instruments.classifiers.linear_probe import LinearReadout, LogisticProbe, ShrinkageLDA
from lexframe.instruments.classifiers.posterior_calibration import PosteriorCalibration
from lexframe.instruments.classifiers.semantic_calibration import CalibrationModule, SemanticCalibration
from lexframe.instruments.frame.nearest_basis import NearestBasis
from lexframe.provenance import array_hash

FORMAT = 1
_CLASSES: dict[str, type] = {
    cls.__name__: cls for cls in (LogisticProbe, NearestBasis, PosteriorCalibration, SemanticCalibration, ShrinkageLDA)
}
_POSTERIOR_NUMBERS = ("trust", "precision", "smoothing_share")
_POSTERIOR = ("prior_mean", "prior_offset", "smoothing", "mean", "spread", "center", "coef", "intercept", *_POSTERIOR_NUMBERS)
_NOT_SAVED = {"bases", "vocabulary"}  # what they say about the classes stands in the fitted arrays


def save_instrument(instrument: Any, folder: str | Path, *, facts: Mapping[str, Any] | None = None) -> None:
    """Write a fitted instrument as ``instrument.json`` and ``instrument-<hash>.safetensors``.

    The JSON names the arrays by their hash and is replaced last, in one step: whatever interrupts the writing, the
    folder holds either the earlier instrument whole or the new one.

    Parameters
    ----------
    instrument : LogisticProbe, NearestBasis, PosteriorCalibration, SemanticCalibration or ShrinkageLDA
        Fitted.
    folder : str or Path
        Made when missing. Arrays of an earlier instrument are removed once the new one is in place.
    facts : mapping, optional
        More to keep in the JSON, such as the fingerprint of the space.
    """
    folder = Path(folder)
    arrays = {name: np.ascontiguousarray(array, dtype=array.dtype) for name, array in _arrays(instrument).items()}
    parameters = {key: value for key, value in instrument.get_params(deep=False).items() if key not in _NOT_SAVED}
    document = {
        "format": FORMAT,
        "class": type(instrument).__name__,
        "parameters": {key: _plain(value) for key, value in parameters.items()},
        "classes": instrument.classes_.tolist(),
        "n_features": int(instrument.n_features_in_),
        "arrays": array_hash(sorted(arrays.items())),
        "facts": dict(facts or {}),
    }
    current = folder / _arrays_name(document)
    with replacing(current) as temporary:
        save_file(arrays, temporary)
    write_json(folder / "instrument.json", document)
    for earlier in folder.glob("instrument-*.safetensors"):
        if earlier != current:
            earlier.unlink(missing_ok=True)


def load_instrument(folder: str | Path) -> tuple[Any, dict[str, Any]]:
    """Open what :func:`save_instrument` wrote.

    Parameters
    ----------
    folder : str or Path
        With ``instrument.json`` and the arrays that it names.

    Returns
    -------
    instrument
        Fitted, ready to predict.
    facts : dict
        What was kept with it.

    Raises
    ------
    DataError
        If the folder holds no instrument, or one that is damaged or of a later format.
    """
    folder = Path(folder)
    try:
        document = json.loads((folder / "instrument.json").read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("class") not in list(_CLASSES):
            raise DataError(
                f"{folder}/instrument.json is not of a format that this version reads (format {FORMAT}). Make it again or update lexframe."
            )
        arrays = load_file(folder / _arrays_name(document))
        if array_hash(sorted(arrays.items())) != document["arrays"]:
            raise ValueError("the arrays are not those that were written")
        parameters = {key: tuple(value) if isinstance(value, list) else value for key, value in document["parameters"].items()}
        instrument = _CLASSES[document["class"]](**parameters)
        instrument.classes_ = np.array(document["classes"])
        instrument.n_features_in_ = document["n_features"]
        _restore(instrument, arrays)
        return instrument, document["facts"]
    except DataError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(error.filename).name if error.filename else "a file"
        raise DataError(f"{folder} holds no adapter: {missing} is missing. Make one with adapt(space, train) and save it.") from error
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise DataError(f"{folder} holds a damaged adapter ({error}). Make it again with adapt.") from error


def _arrays_name(document: dict[str, Any]) -> str:
    return f"instrument-{int(document['arrays'], 16):016x}.safetensors"  # a number, so it cannot lead out of the folder


def _plain(value: Any) -> Any:
    """What JSON can hold: a grid search leaves NumPy numbers in the parameters."""
    if isinstance(value, (tuple, list, np.ndarray)):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _arrays(instrument: Any) -> dict[str, np.ndarray]:
    if isinstance(instrument, LinearReadout):
        return {"coef": instrument.coef_, "intercept": instrument.intercept_}
    if isinstance(instrument, PosteriorCalibration):
        return {name: np.atleast_1d(getattr(instrument, f"{name}_")) for name in _POSTERIOR}
    arrays = {"vectors": instrument.vectors_}
    if instrument.metric_ is not None:
        arrays["metric"] = instrument.metric_
    if isinstance(instrument, SemanticCalibration):
        arrays["scale"] = np.array([instrument.scale_])
        arrays |= {f"module.{name}": tensor.numpy() for name, tensor in instrument.module_.state_dict().items()}
    return arrays


def _restore(instrument: Any, arrays: dict[str, np.ndarray]) -> None:
    if isinstance(instrument, LinearReadout):
        instrument.coef_, instrument.intercept_ = arrays["coef"], arrays["intercept"]
        return
    if isinstance(instrument, PosteriorCalibration):
        for name in _POSTERIOR:
            setattr(instrument, f"{name}_", float(arrays[name][0]) if name in _POSTERIOR_NUMBERS else arrays[name])
        return
    instrument.vectors_, instrument.metric_ = arrays["vectors"], arrays.get("metric")
    if isinstance(instrument, SemanticCalibration):
        instrument._set_frame(instrument.vectors_, instrument.metric_, scale=float(arrays["scale"][0]))
        instrument.module_ = CalibrationModule(instrument.n_features_in_)
        prefix = "module."
        instrument.module_.load_state_dict(
            {name.removeprefix(prefix): torch.from_numpy(array) for name, array in arrays.items() if name.startswith(prefix)}
        )
