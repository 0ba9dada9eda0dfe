"""Spaces that are fitted on texts, kept with the store of their points, so that later texts are encoded by the same one."""

from collections.abc import Sequence
from pathlib import Path

from lexframe.artifacts import Persistent, is_artifact
from lexframe.exceptions import InputError
from lexframe.latents.files import FITTED_SPACE, is_remote
from lexframe.latents.store import LatentStore
from lexframe.spaces.base import FittedSpace, Space
from lexframe.spaces.registry import open_space


def space_of_store(space: Space, path: str | Path, texts: Sequence[str]) -> Space:
    """The space that encodes into a store.

    One that has still to be fitted is the one kept with the store, or is fitted on these texts and kept there; any other is given back.

    Parameters
    ----------
    space : Space
    path : str or Path
        Of the store, perhaps not there yet.
    texts : sequence of str
        What a new store will begin with.

    Raises
    ------
    InputError
        If the store is an address of an object store, where no space can be kept.
    """
    if not isinstance(space, FittedSpace) or space.is_fitted:
        return space
    if is_remote(path):
        raise InputError(
            f"{space.kind} is fitted on the texts and kept with its store, and {path} is no local folder. Fit it first, and name the "
            "folder where it is kept."
        )
    place = Path(path) / FITTED_SPACE
    if not is_artifact(place):
        fitted = space.fitted_on(texts)
        if LatentStore.exists(path) or not isinstance(fitted, Persistent):  # the points there are not of this space
            return fitted
        fitted.save(place)
    return open_space(str(place))  # by the name that is kept beside the points
