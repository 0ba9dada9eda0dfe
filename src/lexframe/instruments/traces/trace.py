"""A prompt as a path: what each layer would say at each token, and how the states move on their way."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from lexframe.checks import plain, texts_in
from lexframe.exceptions import InputError
from lexframe.instruments.traces.lens import Lens, LensStatistics, LogitLens, read_through
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.spaces.base import LensSpace, Progress
from lexframe.spaces.base.prompts import as_read
from lexframe.text_forms import counted
from lexframe.typing import ModelName, Texts

if TYPE_CHECKING:
    import altair
    import pandas

STATISTICS = ("entropy", "kl_to_final", "js_to_previous", "answer_rank", "answer_probability")


def step_lengths(states: Float[np.ndarray, "n_layers n_tokens n_dims"]) -> Float[np.ndarray, "n_steps n_tokens"]:
    """Length of each layer's step relative to the state it starts from; 0 where that state is zero.

    Parameters
    ----------
    states : ndarray of shape (n_layers, n_tokens, n_dims)

    Returns
    -------
    ndarray of shape (n_layers - 1, n_tokens), float64
    """
    states = states.astype(np.float64)
    steps, starts = np.linalg.norm(np.diff(states, axis=0), axis=-1), np.linalg.norm(states[:-1], axis=-1)
    return np.divide(steps, starts, out=np.zeros_like(steps), where=starts > 0)


def turning_angles_deg(path: Float[np.ndarray, "*batch n_points n_dims"]) -> Float[np.ndarray, "*batch n_turns"]:
    """Angle between each step of a path and the next, in degrees; NaN where a step has no length.

    A straight line has 0, steps around a regular polygon of n corners 360 / n, independent points of many dimensions about 120
    (adjacent steps share a point), a random walk about 90.

    Parameters
    ----------
    path : ndarray of shape (..., n_points, n_dims)

    Returns
    -------
    ndarray of shape (..., n_points - 2), float64
    """
    steps = np.diff(path.astype(np.float64), axis=-2)
    lengths = np.linalg.norm(steps, axis=-1, keepdims=True)
    # Steps shorter than rounding of the points themselves have no direction.
    scale = np.abs(path).max(initial=0.0)
    units = np.divide(steps, lengths, out=np.full_like(steps, np.nan), where=lengths > 1e-7 * scale)
    cosines = np.einsum("...ij,...ij->...i", units[..., :-1, :], units[..., 1:, :])
    return np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


def token_curvature_deg(states: Float[np.ndarray, "n_layers n_tokens n_dims"], *, skip: int = 1) -> Float[np.ndarray, " n_layers"]:
    """Mean turning angle along the tokens of a text, layer by layer, in degrees.

    Parameters
    ----------
    states : ndarray of shape (n_layers, n_tokens, n_dims)
    skip : int
        Tokens left out at the beginning: the first is an outlier in most models.

    Returns
    -------
    ndarray of shape (n_layers,), float64
        NaN where fewer than three tokens are left or none of them move.

    References
    ----------
    Hosseini and Fedorenko (2023), Large language models implicitly learn to straighten neural sentence trajectories,
    arXiv:2311.04930.
    """
    angles = turning_angles_deg(states[:, skip:])
    known = np.isfinite(angles)
    total = np.where(known, angles, 0.0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(len(states), np.nan), where=known.any(axis=1))


def effective_rank(points: Float[np.ndarray, "n_points n_dims"]) -> float:
    """Participation ratio of the variances along principal axes: between 1, a line, and min(n_points - 1, n_dims); 0 for one point.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_dims)
        Centered here.
    """
    centered = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    # The ratio needs the trace of the Gram matrix and of its square alone, on the shorter side.
    gram = centered @ centered.T if len(centered) < centered.shape[1] else centered.T @ centered
    squares = float((gram**2).sum())
    return float(np.trace(gram)) ** 2 / squares if squares > 0 else 0.0


def settle_depth(top_ids: Int[np.ndarray, "n_layers n_tokens"]) -> Int[np.ndarray, " n_tokens"]:
    """First row from which on the likeliest item is the final one and never another.

    Parameters
    ----------
    top_ids : ndarray of int, shape (n_layers, n_tokens)
        Likeliest item at each layer and token; rows by depth.

    Returns
    -------
    ndarray of int, shape (n_tokens,)
    """
    settled = np.logical_and.accumulate((top_ids == top_ids[-1])[::-1], axis=0)
    return len(top_ids) - settled.sum(axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class PromptTrace(Result, WithPage):
    """The path of one prompt.

    Attributes
    ----------
    prompt : str
        With what the template of the space puts around it.
    tokens : tuple of str
        Special ones included.
    layers : tuple of int
        0 … n_layers, the rows of every table below; the last is after the final norm.
    lens : str
        Which lens read the inner layers.
    answer : str or None
        Word whose rank and probability were followed; None where each token follows the item that the model itself finds
        likeliest there.
    statistics : LensStatistics
    top_tokens : tuple of tuple of tuple of str
        ``top_tokens[layer][token]``: the likeliest vocabulary items.
    settle_depth : ndarray of int, shape (n_tokens,)
        First layer from which on the likeliest item is the final one.
    step_length : ndarray of shape (n_layers, n_tokens)
        Length of the step into each layer but the first, relative to the state before; the last step includes the final norm.
    turning_angle_deg : ndarray of shape (n_layers - 1, n_tokens)
        Between the step into a layer and the next one, from layer 1 on.
    token_curvature_deg : ndarray of shape (n_layers + 1,)
        Mean turning angle along the tokens, at each layer, without the first token; NaN for texts of fewer than four tokens.
    effective_rank : ndarray of shape (n_layers + 1,)
        Participation ratio of the states of the tokens, at each layer.
    last_inputs : ndarray of shape (n_layers + 1, n_dims)
        What the unembedding multiplies at the last token: the path itself, for maps and comparisons.
    truncated : bool
        Whether the prompt was longer than the model takes and was cut.
    provenance : Provenance
    """

    page: ClassVar[str] = "lexframe.instruments.traces.page:trace_report"

    prompt: str
    tokens: tuple[str, ...]
    layers: tuple[int, ...]
    lens: str
    answer: str | None
    statistics: LensStatistics
    top_tokens: tuple[tuple[tuple[str, ...], ...], ...]
    settle_depth: Int[np.ndarray, " n_tokens"]
    step_length: Float[np.ndarray, "n_steps n_tokens"]
    turning_angle_deg: Float[np.ndarray, "n_turns n_tokens"]
    token_curvature_deg: Float[np.ndarray, " n_layers"]
    effective_rank: Float[np.ndarray, " n_layers"]
    last_inputs: Float[np.ndarray, "n_layers n_dims"]
    truncated: bool
    provenance: Provenance

    def words_passed(self, token: int = -1) -> list[tuple[int, str, float]]:
        """The likeliest item at each layer where it changes, for one token: (layer, item, probability)."""
        ids = self.statistics.top_ids[:, token, 0]
        changes = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
        return [
            (self.layers[row], self.top_tokens[row][token][0], float(self.statistics.top_probabilities[row, token, 0])) for row in changes
        ]

    def summary(self) -> str:
        """What the model says next, and from which layer on."""
        said, share = self.top_tokens[-1][-1][0], float(self.statistics.top_probabilities[-1, -1, 0])
        depth = self.layers[int(self.settle_depth[-1])]
        text = (
            f"After {counted(len(self.tokens), 'token')} the likeliest next one is {said.strip() or said!r} "
            f"({share:.0%}), from layer {depth} of "
            f"{self.layers[-1]} on by the {self.lens} lens."
        )
        return f"{text} The prompt was longer than the model takes and was cut." if self.truncated else text

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON; what is not defined is None."""
        return {
            "prompt": self.prompt,
            "tokens": list(self.tokens),
            "layers": list(self.layers),
            "lens": self.lens,
            "answer": self.answer,
            **{name: plain(getattr(self.statistics, name)) for name in STATISTICS},
            "top": [
                [
                    [{"token": item, "probability": value} for item, value in zip(items, values, strict=True)]
                    for items, values in zip(row, probabilities.tolist(), strict=True)
                ]
                for row, probabilities in zip(self.top_tokens, self.statistics.top_probabilities, strict=True)
            ],
            "settle_depth": self.settle_depth.tolist(),
            "step_length": plain(self.step_length),
            "turning_angle_deg": plain(self.turning_angle_deg),
            "token_curvature_deg": plain(self.token_curvature_deg),
            "effective_rank": plain(self.effective_rank),
            "truncated": self.truncated,
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a layer and token, with every statistic that both have and the likeliest item."""
        import pandas as pd

        layer, token = (part.ravel() for part in np.meshgrid(self.layers, np.arange(len(self.tokens)), indexing="ij"))
        columns = {name: getattr(self.statistics, name).ravel() for name in STATISTICS}
        likeliest = [items[0] for row in self.top_tokens for items in row]
        return pd.DataFrame(
            {"layer": layer, "position": token, "token": [self.tokens[i] for i in token], "likeliest": likeliest, **columns}
        )

    def chart(self, statistic: str = "entropy") -> "altair.LayerChart":
        """The layer by token table of one statistic; see :func:`lexframe.instruments.traces.charts.trace_chart`."""
        from lexframe.instruments.traces.charts import trace_chart

        return trace_chart(self, statistic)


def trace(
    space: LensSpace | ModelName,
    prompts: Texts,
    *,
    lens: Lens | None = None,
    answer: str | None = None,
    n_top: int = 5,
    precision: str = "float32",
    progress: Progress = iter,
) -> list[PromptTrace]:
    """Follow prompts through the layers.

    Parameters
    ----------
    space : LensSpace or str
        Its template stands around the prompts.
    prompts : sequence of str
        None empty. One string is one prompt.
    lens : Lens, optional
        Default: the logit lens.
    answer : str, optional
        A word whose rank and probability to follow at every token; of several tokens, the first. Default: what the model itself
        finds likeliest.
    n_top : int
        Likeliest items to keep at each layer and token.
    precision : {"float32", "bfloat16"}
        Of the products at inner layers.
    progress : callable
        Wraps the iteration over the layers of each prompt.

    Returns
    -------
    list of PromptTrace

    Raises
    ------
    InputError
        If a prompt is empty, or `n_top` is below 1.
    VocabularyError
        If the vocabulary cannot write the answer.
    """
    space = LensSpace.of(space)
    prompts = texts_in(prompts, what="prompts")
    if n_top < 1:
        raise InputError(f"n_top is {n_top}; expected 1 or more likeliest items to keep.")
    lens = lens or LogitLens()
    answer_id = None if answer is None else space.word_ids(answer)[0]
    cut = space.truncated(prompts)
    found = []
    for number, prompt in enumerate(prompts):
        if not prompt.strip():
            raise InputError(f"Prompt {number + 1} of {len(prompts)} is empty. A path needs a token to start from; write a prompt.")
        states = space.token_states(prompt)
        asked = None if answer_id is None else np.full(len(states.ids), answer_id, dtype=np.int64)
        statistics = read_through(
            space, lens, states.states, states.layers, answers=asked, n_top=n_top, precision=precision, progress=progress
        )
        found.append(
            PromptTrace(
                prompt=as_read(space, [prompt])[0],
                tokens=states.tokens,
                layers=states.layers,
                lens=lens.name,
                answer=answer,
                statistics=statistics,
                top_tokens=_as_tokens(space, statistics.top_ids),
                settle_depth=settle_depth(statistics.top_ids[..., 0]),
                step_length=step_lengths(states.states),
                turning_angle_deg=turning_angles_deg(states.states.swapaxes(0, 1)).T,
                token_curvature_deg=token_curvature_deg(states.states),
                effective_rank=np.array([effective_rank(layer) for layer in states.states]),
                last_inputs=np.concatenate(
                    [lens.inputs(space, state[-1:], layer=layer) for state, layer in zip(states.states, states.layers, strict=True)]
                ),
                truncated=bool(cut[number]),
                provenance=Provenance(
                    space=space.fingerprint, parameters={"lens": lens.name, "answer": answer, "precision": precision, "n_top": n_top}
                ),
            )
        )
    return found


def _as_tokens(space: LensSpace, ids: Int[np.ndarray, "n_layers n_tokens n_top"]) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Items as they look in a text; each different one is asked for once."""
    distinct, where = np.unique(ids, return_inverse=True)
    texts = np.array(space.token_texts(distinct.tolist()), dtype=object)[where.reshape(ids.shape)]
    return tuple(tuple(tuple(items) for items in row) for row in texts.tolist())
