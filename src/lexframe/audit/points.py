"""Points to audit texts by: those of a sentence encoder as they are, of a language model the means of three layers."""

from pathlib import Path

from lexframe.checks import texts_in
from lexframe.latents.text_reader import Reading, TextReader
from lexframe.spaces.base import Progress, Space, fitted_space
from lexframe.typing import ModelName, Points, Texts


def audit_points(
    space: Space | ModelName,
    texts: Texts,
    *,
    folder: str | Path | None = None,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> tuple[Points, TextReader]:
    """Encode texts for an audit.

    Parameters
    ----------
    space : Space or str
        One that has layers gives, for each text, the means over its tokens of the states a third, two thirds and all the way up,
        side by side, each centered and scaled to one mean length. (On the development sets three means found more planted errors
        than one, than last states, and than both together.) Others give their own points; one that is fitted on texts is fitted on these.
    texts : sequence of str
    folder : str or Path, optional
        A latent store of what was read, so that the same texts are not encoded again; see :class:`TextReader`.
    batch_size : int, optional
        Texts in one forward pass.
    progress : callable
        Wraps the iteration over batches.

    Returns
    -------
    points : ndarray of shape (n_texts, n_dims), float32
    reader : TextReader
        Places other texts in the same coordinates.
    """
    texts = texts_in(texts)
    space = fitted_space(Space.of(space), texts)
    reading = Reading.thirds(space, poolings=("mean",), own_points=False, scaled=True)
    reader = TextReader(space, reading, folder=folder, batch_size=batch_size, remember=False)
    return reader.fit_encode(texts, progress=progress), reader
