"""From a name to a space. Other packages add kinds by the entry point ``lexframe.spaces``."""

from importlib import metadata
from pathlib import Path
from typing import Any

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import Space
from lexframe.spaces.loading import EMBEDDED_VAE, resolve_model

ENTRY_POINT_GROUP = "lexframe.spaces"


def open_space(model: str = "embedded", *, kind: str | None = None, **options: Any) -> Space:
    """Open a space by the name of its model.

    Parameters
    ----------
    model : str
        ``"embedded"``, ``"embedded-vae"``, a local folder or a hub id.
    kind : str, optional
        ``"language-model"``, ``"sentence-encoder"``, ``"text-vae"``, or a kind that another package adds. Default: a folder with
        ``vae.json`` is a text VAE, one with ``modules.json`` a sentence encoder, anything else a language model.
    **options
        Of the space: see :class:`~lexframe.spaces.language_model.space.LanguageModelSpace`,
        :class:`~lexframe.spaces.sentence_encoder.SentenceEncoderSpace` and :class:`~lexframe.spaces.text_vae.space.TextVAESpace`.

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
    if kind is None:
        kind = "text-vae" if is_text_vae(model) else "sentence-encoder" if is_sentence_encoder(model) else "language-model"
    factory = _factory(kind)
    try:
        return factory(model, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise InputError(f"A {kind} space has no option {str(error).split('argument ')[-1]}.") from error


def reopen_space(fingerprint: SpaceFingerprint, *, model: str | None = None, device: str | None = None, what: str = "this") -> Space:
    """Open the space that made some points again.

    Parameters
    ----------
    fingerprint : SpaceFingerprint
        Kept beside the points.
    model : str, optional
        Where the model is now. Default: where it was.
    device : str, optional
        Of the model.
    what : str
        Names the points in a message.

    Raises
    ------
    FingerprintMismatch
        If the model there makes other points.
    InputError
        If the points were not made by a model that can be opened, such as imported ones.
    """
    options: dict[str, Any] = {"device": device}
    if fingerprint.kind == "TextVAESpace":
        kind = "text-vae"
    elif fingerprint.kind == "LanguageModelSpace":
        kind = "language-model"
        options |= _reading(fingerprint) | {
            "layer": fingerprint.layer,
            "pooling": fingerprint.pooling,
            "truncation": fingerprint.truncation,
        }
    elif fingerprint.kind == "SentenceEncoderSpace":
        kind = "sentence-encoder"
        options |= _reading(fingerprint) | {
            "pooling": fingerprint.pooling.split(",")[0],
            "normalize": "unit length" in fingerprint.pooling,
        }
    else:
        raise InputError(f"{what} holds points made by {fingerprint.model} ({fingerprint.kind}), which is not a model that can be opened.")
    space = open_space(model or fingerprint.model, kind=kind, **options)
    fingerprint.require(space.fingerprint, what=what)
    return space


def _reading(fingerprint: SpaceFingerprint) -> dict[str, Any]:
    return {"template": fingerprint.template, "max_length": fingerprint.max_length, "dtype": fingerprint.dtype}


def is_text_vae(model: str) -> bool:
    """Whether `model` is the folder of a text VAE, or the one that ships with the package."""
    return model == EMBEDDED_VAE or (Path(model) / "vae.json").is_file()


def is_sentence_encoder(model: str) -> bool:
    """Whether a local folder is in the format of sentence-transformers."""
    return (Path(resolve_model(model)) / "modules.json").is_file()


def _factory(kind: str) -> Any:
    if kind == "language-model":
        from lexframe.spaces.language_model.space import LanguageModelSpace

        return LanguageModelSpace
    if kind == "sentence-encoder":
        from lexframe.spaces.sentence_encoder import SentenceEncoderSpace

        return SentenceEncoderSpace
    if kind == "text-vae":
        from lexframe.spaces.text_vae.space import TextVAESpace

        return TextVAESpace
    found = {point.name: point for point in metadata.entry_points(group=ENTRY_POINT_GROUP)}
    if kind not in found:
        raise InputError(
            f"There is no space of kind {kind!r}; "
            f"there are {', '.join(['language-model', 'sentence-encoder', 'text-vae', *sorted(found)])}."
        )
    return found[kind].load()
