"""What scikit-learn estimators keep of themselves: parameters, classes, and the arrays that fitting found."""

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from lexframe.artifacts import Artifact, Persistent
from lexframe.provenance import Provenance

Estimator = TypeVar("Estimator", bound="PersistentEstimator")


class PersistentEstimator(Persistent):
    """An estimator with classes that can be kept and opened again; a class says which arrays make up its fitted state.

    Attributes
    ----------
    unkept_parameters : frozenset of str
        Parameters of the constructor that are left out: what they say stands in the fitted arrays.
    """

    unkept_parameters: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def fitted_arrays(self) -> dict[str, np.ndarray]:
        """Everything that fitting found, by name."""

    @abstractmethod
    def set_fitted_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take :meth:`fitted_arrays` back, on an estimator whose parameters, classes and width are set."""

    def to_artifact(self) -> Artifact:
        """Parameters, classes, width, and the fitted arrays."""
        check_is_fitted(self)
        estimator: Any = self
        settings = {name: value for name, value in estimator.get_params(deep=False).items() if name not in self.unkept_parameters}
        return Artifact(
            kind=self.artifact_kind,
            parameters={"settings": settings, "classes": estimator.classes_.tolist(), "n_features": int(estimator.n_features_in_)},
            arrays=self.fitted_arrays(),
            provenance=Provenance(),
            version=self.artifact_version,
        )

    @classmethod
    def from_artifact(cls: type[Estimator], artifact: Artifact) -> Estimator:
        """Back from :meth:`to_artifact`, ready to predict."""
        settings = artifact.parameters["settings"]
        estimator: Any = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})
        estimator.classes_ = np.array(artifact.parameters["classes"])
        estimator.n_features_in_ = artifact.parameters["n_features"]
        estimator.set_fitted_arrays(artifact.arrays)
        return estimator
