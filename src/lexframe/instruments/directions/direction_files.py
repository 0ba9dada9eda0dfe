"""Directions as files: safetensors and JSON of our own, and the control vectors of llama.cpp."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lexframe.exceptions import DataError, InputError, MissingExtraError
from lexframe.files import replacing, write_json
from lexframe.instruments.directions.direction import Direction, Preflight
from lexframe.provenance import Provenance, SpaceFingerprint, array_hash

FORMAT = 1


def save_direction(direction: Direction, folder: str | Path) -> None:
    """Write a direction as ``direction.json`` and ``direction-<hash>.safetensors``.

    The JSON names the vectors by their hash and is replaced last, so the folder holds the earlier direction whole or the new one.

    Parameters
    ----------
    direction : Direction
    folder : str or Path
        Made when missing. Vectors of an earlier direction are removed once the new one is in place.
    """
    folder = Path(folder)
    arrays = {f"layer.{layer}": np.ascontiguousarray(direction.vectors[layer], dtype=np.float32) for layer in direction.layers}
    document = {"format": FORMAT, "vectors": array_hash(sorted(arrays.items())), **direction.to_dict()}
    current = folder / _vectors_name(document["vectors"])
    with replacing(current) as temporary:
        save_file(arrays, temporary)
    write_json(folder / "direction.json", document)
    for earlier in folder.glob("direction-*.safetensors"):
        if earlier != current:
            earlier.unlink(missing_ok=True)


def load_direction(folder: str | Path) -> Direction:
    """Open what :func:`save_direction` wrote.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    Direction

    Raises
    ------
    DataError
        If the folder holds no direction, or one that is damaged or of a later format.
    """
    folder = Path(folder)
    try:
        document = json.loads((folder / "direction.json").read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise DataError(
                f"{folder}/direction.json is not of the format {FORMAT} that this version reads. Find it again or update lexframe."
            )
        arrays = load_file(folder / _vectors_name(document["vectors"]))
        if array_hash(sorted(arrays.items())) != document["vectors"]:
            raise ValueError("the vectors are not those that were written")
        known = document["provenance"]
        provenance = Provenance(SpaceFingerprint.from_dict(known["space"]), known["seed"], known["parameters"], known["versions"])
        return Direction(
            vectors={int(name.removeprefix("layer.")): array for name, array in arrays.items()},
            n_layers=document["n_layers"],
            positive=document["positive"],
            negative=document["negative"],
            method=document["method"],
            provenance=provenance,
            preflight={int(layer): Preflight(**found) for layer, found in document["preflight"].items()},
        )
    except DataError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(error.filename).name if error.filename else "a file"
        raise DataError(
            f"{folder} holds no direction: {missing} is missing. Make one with find_direction, or with edit_direction for a text VAE, and "
            "save it."
        ) from error
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder} holds a damaged direction ({error}). Find it again and save it.") from error


def export_gguf(direction: Direction, path: str | Path, *, model_hint: str, strength: float = 1.0) -> tuple[int, ...]:
    """Write a direction as a control vector of llama.cpp, for ``--control-vector``.

    llama.cpp counts blocks from 0 and adds ``direction.k`` to what block k gives, which is layer k + 1 here; it has no slot for
    what its block 0 gives, and adds in front of the final norm. So layers 2 … n_layers - 1 are written, as ``direction.1`` …;
    layers 0 and 1 and the last state, which is after the norm, cannot be.

    Parameters
    ----------
    direction : Direction
        All its layers that fit are written; llama.cpp moves them all, so give it the layers that you mean, each at the strength
        that they need together.
    path : str or Path
        The file; replaced atomically.
    model_hint : str
        Architecture of the model, such as ``"llama"`` (``config.model_type``).
    strength : float
        Factor that is multiplied in, so that ``--control-vector`` applies it; ``--control-vector-scaled`` multiplies once more.

    Returns
    -------
    tuple of int
        The layers that were written, in the numbers used here.

    Raises
    ------
    InputError
        If no layer fits.
    MissingExtraError
        If the package ``gguf`` is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise MissingExtraError("gguf", "gguf") from error
    written = tuple(layer for layer in direction.layers if 2 <= layer < direction.n_layers)
    if not written:
        raise InputError(
            f"llama.cpp takes directions of layers 2 to {direction.n_layers - 1} of this model, but this one has "
            f"{', '.join(map(str, direction.layers))}. Find it with one of those layers."
        )
    architecture = "controlvector"
    with replacing(path) as temporary:
        writer = gguf.GGUFWriter(temporary, architecture)
        try:
            writer.add_string(f"{architecture}.model_hint", model_hint)
            writer.add_uint32(f"{architecture}.layer_count", len(written))
            for layer in written:
                writer.add_tensor(f"direction.{layer - 1}", np.ascontiguousarray(direction.vectors[layer] * np.float32(strength)))
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
    return written


def _vectors_name(digest: str) -> str:
    return f"direction-{int(digest, 16):016x}.safetensors"  # a number, so it cannot lead out of the folder
