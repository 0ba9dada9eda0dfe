"""Several prompts side by side: where along the layers their paths part, and a plane to draw them in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.instruments.frame.vocabulary_frame import VocabularyFrame
from lexframe.instruments.traces.lens import Lens, LogitLens
from lexframe.instruments.traces.trace import PromptTrace
from lexframe.linalg import metric_root, unit_rows
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import LensSpace
from lexframe.typing import ModelName

if TYPE_CHECKING:
    import altair
    import pandas


@dataclass(frozen=True, slots=True, eq=False)
class PathComparison(Result):
    """How far the paths of several prompts lie apart at their last tokens.

    Attributes
    ----------
    prompts : tuple of str
    layers : tuple of int
    divergence : ndarray of shape (n_layers + 1, n_prompts, n_prompts)
        Jensen-Shannon divergence of the lens distributions, in nats, at most ln 2; symmetric, with a zero diagonal.
    path_distance : ndarray of shape (n_prompts, n_prompts)
        Dynamic time warping along the layers, with the root of the divergence as the distance of two points: the mean over the
        steps of the cheapest alignment. Two paths that pass the same words at other layers are near.
    provenance : Provenance
    """

    prompts: tuple[str, ...]
    layers: tuple[int, ...]
    divergence: Float[np.ndarray, "n_layers n_prompts n_prompts"]
    path_distance: Float[np.ndarray, "n_prompts n_prompts"]
    provenance: Provenance = field(default_factory=Provenance)

    def summary(self) -> str:
        """The two prompts whose paths are farthest apart, and where they part."""
        i, j = np.unravel_index(int(self.path_distance.argmax()), self.path_distance.shape)
        apart = self.divergence[:, i, j]
        if not apart.max() > 1e-6:
            return f"The paths of {len(self.prompts)} prompts are one path."
        widest = self.layers[int(apart.argmax())]
        return (
            f"Of {len(self.prompts)} prompts, {min(i, j) + 1} and {max(i, j) + 1} go the farthest apart: {apart.max():.2f} nats at layer "
            f"{widest}, where ln 2 = 0.69 is the most, and {apart[-1]:.2f} at the end."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "prompts": list(self.prompts),
            "layers": list(self.layers),
            "divergence": self.divergence.tolist(),
            "path_distance": self.path_distance.tolist(),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a layer and pair of prompts; prompts count from 1."""
        import pandas as pd

        pairs = [(i, j) for j in range(len(self.prompts)) for i in range(j)]
        rows = [
            {"layer": layer, "one": i + 1, "other": j + 1, "divergence": float(self.divergence[row, i, j])}
            for row, layer in enumerate(self.layers)
            for i, j in pairs
        ]
        return pd.DataFrame(rows)

    def chart(self) -> "altair.Chart":
        """Divergence of every pair along the layers."""
        from lexframe.instruments.traces.charts import parting_chart

        return parting_chart(self)


def compare_paths(space: LensSpace | ModelName, traces: Sequence[PromptTrace], *, lens: Lens | None = None) -> PathComparison:
    """Compare traced prompts at their last tokens, layer by layer and as whole paths.

    Parameters
    ----------
    space : LensSpace or str
        That was traced.
    traces : sequence of PromptTrace
        Two or more, of one space and lens.
    lens : Lens, optional
        The one they were traced with. Default: the logit lens.

    Returns
    -------
    PathComparison

    Raises
    ------
    InputError
        If there are fewer than two, or they were traced with another lens.
    """
    space = LensSpace.of(space)
    lens = lens or LogitLens()
    if len(traces) < 2:
        raise InputError(f"{len(traces)} traces were given; a comparison needs two or more.")
    if any(trace.lens != lens.name for trace in traces):
        raise InputError(f"The traces were made with the lens {traces[0].lens!r}; compare them with the same, not with {lens.name!r}.")
    layers, n = traces[0].layers, len(traces)
    # A cell is the divergence of prompt i at layer k from prompt j at layer m: what alignment needs, a pair of prompts at a time.
    roots = np.zeros((n, n, len(layers), len(layers)))
    for i in range(n):
        first = _distributions(space, lens, traces[i])
        for j in range(i):
            cells = _divergences(first, _distributions(space, lens, traces[j]))
            roots[i, j], roots[j, i] = np.sqrt(cells), np.sqrt(cells.T)
    same_layer = np.arange(len(layers))
    distance = np.array([[align(roots[i, j]) if i != j else 0.0 for j in range(n)] for i in range(n)])
    divergence = (roots[:, :, same_layer, same_layer] ** 2).transpose(2, 0, 1)
    provenance = Provenance(space=space.fingerprint, parameters={"lens": lens.name})
    return PathComparison(tuple(trace.prompt for trace in traces), layers, divergence, distance, provenance)


def _distributions(space: LensSpace, lens: Lens, trace: PromptTrace) -> torch.Tensor:
    """Of the last token, layers by vocabulary."""
    logits = [
        lens.logits(space, trace.last_inputs[row : row + 1], layer=layer).astype(np.float64) for row, layer in enumerate(trace.layers)
    ]
    return torch.from_numpy(np.concatenate(logits)).softmax(dim=1)


def _divergences(first: torch.Tensor, second: torch.Tensor) -> Float[np.ndarray, "n_layers n_layers"]:
    """Jensen-Shannon divergence of every row with every row."""
    entropies = [torch.special.entr(part).sum(dim=1) for part in (first, second)]
    mixtures = torch.stack([torch.special.entr((row + second) / 2).sum(dim=1) for row in first])
    found = mixtures - (entropies[0][:, None] + entropies[1][None, :]) / 2
    return found.clamp(min=0).numpy()


def align(distances: Float[np.ndarray, "n m"]) -> float:
    """Mean distance along the cheapest monotone alignment of two paths (dynamic time warping).

    Parameters
    ----------
    distances : ndarray of shape (n, m)
        Of every point of one path from every point of the other.

    Returns
    -------
    float
        The cheapest sum from corner to corner, with steps to the right, down or both, over n + m; a diagonal step counts its cell
        twice, so that no path is favoured for being short (Sakoe and Chiba, 1978, symmetric form).
    """
    n, m = distances.shape
    cost = np.full((n + 1, m + 1), np.inf)
    cost[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            here = distances[i, j]
            cost[i + 1, j + 1] = min(cost[i, j] + 2 * here, cost[i, j + 1] + here, cost[i + 1, j] + here)
    return float(cost[n, m] / (n + m))


@dataclass(frozen=True, slots=True, eq=False)
class PathMap:
    """Paths and the words they pass, in the coordinates of the vocabulary frame.

    Attributes
    ----------
    prompts : tuple of str
    layers : tuple of int
    paths : ndarray of shape (n_prompts, n_layers + 1, n_dims)
        What the unembedding multiplies at the last token; unit vectors in the inner product of M = UᵀU, written so that plain
        cosines are those of the invariant readout.
    words : tuple of str
        Vocabulary items that a path passes, each once.
    bases : ndarray of shape (n_words, n_dims)
        Their semantic bases, in the same coordinates, of unit length.
    """

    prompts: tuple[str, ...]
    layers: tuple[int, ...]
    paths: Float[np.ndarray, "n_prompts n_layers n_dims"]
    words: tuple[str, ...]
    bases: Float[np.ndarray, "n_words n_dims"]


def path_map(space: LensSpace | ModelName, traces: Sequence[PromptTrace], *, max_words: int = 14) -> PathMap:
    """Coordinates for a drawing of traced prompts through the vocabulary.

    Parameters
    ----------
    space : LensSpace or str
        That was traced.
    traces : sequence of PromptTrace
        One or more.
    max_words : int
        Words drawn at most, those of the deepest layers first.

    Returns
    -------
    PathMap

    Raises
    ------
    InputError
        If there is no trace.
    """
    space = LensSpace.of(space)
    if not traces:
        raise InputError("No trace was given; a map needs one or more.")
    frame = VocabularyFrame(space, center=True)
    root = metric_root(frame.gram.gram)
    ids: dict[int, None] = {}
    for row in reversed(range(len(traces[0].layers))):
        ids |= dict.fromkeys(int(trace.statistics.top_ids[row, -1, 0]) for trace in traces)
    kept = list(ids)[:max_words]
    return PathMap(
        prompts=tuple(trace.prompt for trace in traces),
        layers=traces[0].layers,
        paths=np.stack([unit_rows(trace.last_inputs.astype(np.float64) @ root) for trace in traces]),
        words=tuple(space.token_texts(kept)),
        bases=unit_rows(frame.bases(kept) @ root),
    )
