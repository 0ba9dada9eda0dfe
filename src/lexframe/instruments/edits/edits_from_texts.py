"""From labeled texts to what moves points towards a class or draws points of one: encoded and fitted in one step."""

from collections.abc import Hashable, Sequence
from typing import Any

from lexframe.checks import checked_texts, class_number, class_numbers
from lexframe.exceptions import InputError
from lexframe.instruments.edits.attribute_edit import ClassifierGradientEdit, MeanDifferenceEdit
from lexframe.instruments.edits.class_sampling import ClassGaussians
from lexframe.instruments.edits.matched_edit import MatchedDifferenceEdit, matched_groups
from lexframe.spaces.base import LatentVariableSpace, Progress, Space
from lexframe.typing import ModelName, Texts

EDIT_METHODS = ("mean-difference", "classifier")


def edit_from_texts(
    space: Space | ModelName,
    texts: Texts,
    labels: Sequence[Hashable],
    target: Hashable,
    *,
    method: str = "mean-difference",
    keep: Sequence[Hashable] | None = None,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> MeanDifferenceEdit | MatchedDifferenceEdit | ClassifierGradientEdit:
    """An edit towards one class of labeled texts.

    Parameters
    ----------
    space : Space or str
        Whose points are to be moved.
    texts : sequence of str
    labels : sequence of hashable, length n_texts
    target : hashable
        The class to move towards.
    method : {"mean-difference", "classifier"}
        :class:`~lexframe.instruments.edits.attribute_edit.MeanDifferenceEdit`, where all other classes together are the other side, or
        :class:`~lexframe.instruments.edits.attribute_edit.ClassifierGradientEdit`.
    keep : sequence of hashable, length n_texts, optional
        Another attribute of the texts, or a tuple of several: differences of means are taken among texts that agree in it, see
        :class:`~lexframe.instruments.edits.matched_edit.MatchedDifferenceEdit`.
    batch_size, progress
        See :meth:`lexframe.spaces.base.Space.encode`.

    Returns
    -------
    MeanDifferenceEdit, MatchedDifferenceEdit or ClassifierGradientEdit

    Raises
    ------
    InputError
        If there is no such method or class, labels are not one each, a class has one text, the sides do not differ, or a classifier is
        to keep something.
    """
    space = Space.of(space)
    if method not in EDIT_METHODS:
        raise InputError(f"method is {method!r}; expected one of {', '.join(EDIT_METHODS)}.")
    if keep is not None and method != "mean-difference":
        raise InputError("Only differences of means can keep another attribute; leave keep out, or take the method mean-difference.")
    texts = checked_texts(texts)
    classes, _ = class_numbers(labels, len(texts))  # before the work of encoding
    class_number(target, classes)
    if keep is not None:
        matched_groups(keep, len(texts))
    points = space.encode(texts, batch_size=batch_size, progress=progress)
    if method == "classifier":
        return ClassifierGradientEdit(target=target).fit(points, labels, space=space.fingerprint)
    if keep is not None:
        return MatchedDifferenceEdit(target=target).fit(points, labels, keep, space=space.fingerprint)
    sides: list[Any] = list(labels)
    if len(classes) > 2:
        sides = [target if label == target else f"not {target}" for label in sides]
    return MeanDifferenceEdit(target=target).fit(points, sides, space=space.fingerprint)


def class_gaussians_from_texts(
    space: LatentVariableSpace | ModelName,
    texts: Texts,
    labels: Sequence[Hashable],
    *,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> ClassGaussians:
    """A Gaussian for each class of labeled texts, with the variances of their posteriors in it.

    Parameters
    ----------
    space : LatentVariableSpace or str
    texts : sequence of str
    labels : sequence of hashable, length n_texts
    batch_size, progress
        See :meth:`lexframe.spaces.base.Space.encode`.

    Returns
    -------
    ClassGaussians

    Raises
    ------
    InputError
        See :meth:`lexframe.instruments.edits.class_sampling.ClassGaussians.fit`.
    """
    space = LatentVariableSpace.of(space)
    texts = checked_texts(texts)
    class_numbers(labels, len(texts))
    posterior = space.posterior(texts, batch_size=batch_size, progress=progress)
    return ClassGaussians().fit(posterior.means, labels, log_variances=posterior.log_variances)
