"""From the name of a model to a space.

The class of a space says what it recognizes, which options it takes and how it is opened again: see
:class:`~lexframe.spaces.base.OpenableSpace`. Here stands only where the classes are. Other packages add theirs by entry points of
the group ``lexframe.spaces``, named after the kind::

    [project.entry-points."lexframe.spaces"]
    gguf = "their_package.space:GGUFSpace"
"""

import importlib
import os
from importlib import metadata
from typing import Any

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import OpenableSpace
from lexframe.typing import ModelName

ENTRY_POINT_GROUP = "lexframe.spaces"
OWN = {
    "tfidf": "lexframe.spaces.lexical:LexicalSpace",
    "text-vae": "lexframe.spaces.text_vae.space:TextVAESpace",
    "sentence-encoder": "lexframe.spaces.sentence_encoder:SentenceEncoderSpace",
    "language-model": "lexframe.spaces.language_model.space:LanguageModelSpace",
}
"""Our own classes by kind, in the order in which they are asked; the last one recognizes everything."""


def space_kinds() -> dict[str, str]:
    """Where the class of each kind is, as ``module:Class``, in the order in which they are asked whether they recognize a model.

    Kinds of other packages come first, so that what they recognize loads none of ours; a kind of ours cannot be replaced.
    """
    found = {point.name: f"{point.module}:{point.attr}" for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}
    return {kind: found[kind] for kind in sorted(found.keys() - OWN.keys())} | OWN


def space_class(kind: str) -> type[OpenableSpace]:
    """The class of a kind of space.

    Parameters
    ----------
    kind : str
        One of :func:`space_kinds`.

    Raises
    ------
    InputError
        If there is no such kind, or the package that adds it cannot be loaded.
    """
    kinds = space_kinds()
    if kind not in kinds:
        raise InputError(f"There is no space of kind {kind!r}; there are {', '.join(sorted(kinds))}.")
    module, _, name = kinds[kind].partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        if kind in OWN:
            raise
        raise InputError(f"The space of kind {kind!r} cannot be loaded ({error}). Repair or uninstall the package that adds it.") from error
    if not (isinstance(found, type) and issubclass(found, OpenableSpace)):
        raise InputError(f"The space of kind {kind!r} is {kinds[kind]}, which is no OpenableSpace. Uninstall the package that adds it.")
    return found


def recognized_kind(model: str) -> str:
    """The kind of the first space that recognizes a model.

    Parameters
    ----------
    model : str
        ``"embedded"``, ``"embedded-vae"``, a local folder or a hub id.
    """
    return next(kind for kind in space_kinds() if space_class(kind).recognizes(model))


def open_space(model: ModelName = "embedded", *, kind: str | None = None, **options: Any) -> OpenableSpace:
    """Open a space by the name of its model.

    Parameters
    ----------
    model : str
        ``"embedded"``, ``"embedded-vae"``, ``"tfidf"``, a local folder or a hub id.
    kind : str, optional
        ``"language-model"``, ``"sentence-encoder"``, ``"text-vae"``, ``"tfidf"``, or a kind that another package adds. Default:
        a folder with ``vae.json`` is a text VAE, one with ``modules.json`` a sentence encoder, and anything else a language model,
        unless another package recognizes it.
    **options
        Of the space: see :class:`~lexframe.spaces.language_model.space.LanguageModelSpace`,
        :class:`~lexframe.spaces.sentence_encoder.SentenceEncoderSpace`, :class:`~lexframe.spaces.text_vae.space.TextVAESpace` and
        :class:`~lexframe.spaces.lexical.LexicalSpace`.

    Returns
    -------
    Space

    Raises
    ------
    ModelError
        If the model cannot be opened.
    InputError
        If there is no such kind, or an option does not belong to it.
    """
    if not isinstance(model, str | os.PathLike):
        raise InputError(f"model is {type(model).__name__}; expected a name, such as 'embedded', a folder or a hub id.")
    model = os.fspath(model)
    kind = kind or recognized_kind(model)
    opened: Any = space_class(kind)
    known = opened.options()
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InputError(
            f"{model} is opened as a {kind} space, which has no option {', '.join(map(repr, unknown))}. "
            f"Its options are {', '.join(sorted(known)) or 'none'}; leave others out, or name another model.",
            parameter=unknown,
        )
    space: OpenableSpace = opened(model, **options)
    return space


def reopen_space(
    fingerprint: SpaceFingerprint, *, model: str | None = None, device: str | None = None, what: str = "this"
) -> OpenableSpace:
    """Open the space that made some points again.

    Parameters
    ----------
    fingerprint : SpaceFingerprint
        Kept beside the points.
    model : str, optional
        Where the model is now. Default: where it was.
    device : str, optional
        Of the model, where the space has a choice of devices.
    what : str
        Names the points in a message.

    Raises
    ------
    FingerprintMismatch
        If the model there makes other points.
    InputError
        If the points were not made by a model that can be opened, such as imported ones.
    """
    kind = next((kind for kind, place in space_kinds().items() if place.partition(":")[2] == fingerprint.kind), None)
    if kind is None:
        raise InputError(f"{what} holds points made by {fingerprint.model} ({fingerprint.kind}), which is not a model that can be opened.")
    opened = space_class(kind)
    options = opened.reopening(fingerprint)
    if device is not None:
        options["device"] = device
    space = open_space(model or fingerprint.model, kind=kind, **options)
    fingerprint.require(space.fingerprint, what=what)
    return space
