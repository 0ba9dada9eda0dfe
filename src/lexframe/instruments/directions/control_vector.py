"""Directions as control vectors of llama.cpp."""

from pathlib import Path

import numpy as np

from lexframe.exceptions import InputError, MissingExtraError
from lexframe.files import replacing
from lexframe.instruments.directions.direction import Direction


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
    if direction.n_layers is None:
        raise InputError(f"The direction {direction} is one of points; llama.cpp needs layers. Find it with find_direction.")
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
