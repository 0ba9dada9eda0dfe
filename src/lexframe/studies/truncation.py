"""How many directions of each layer the next word depends on: states cut to the first K, and what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.linalg import softmax
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.spaces.base import Intervention, PatchableSpace, Representation

if TYPE_CHECKING:
    import pandas

_TINY = 1e-38


@dataclass(frozen=True, slots=True, eq=False)
class TruncationCost(Result):
    """What cutting the last token's state to K directions after every layer costs in the next-word distribution.

    Attributes
    ----------
    n_axes : tuple of int
        K, as asked for.
    divergence : ndarray of shape (n_cuts, n_texts)
        KL of the cut model's distribution from the whole one's, in nats, by K and prompt.
    unrelated : ndarray of shape (n_texts,)
        Mean KL of the distributions of the other prompts from each prompt's, in nats: what losing the prompt altogether costs.
    provenance : Provenance
    """

    n_axes: tuple[int, ...]
    divergence: Float[np.ndarray, "n_cuts n_texts"]
    unrelated: Float[np.ndarray, " n_texts"]
    provenance: Provenance = field(default_factory=Provenance)

    def smallest(self, share: float = 0.1) -> int | None:
        """Fewest directions whose mean divergence is at most `share` of that of unrelated prompts; None if no K of these is enough.

        Parameters
        ----------
        share : float
            In (0, 1).
        """
        cheap = self.divergence.mean(axis=1) <= share * self.unrelated.mean()
        return min((k for k, enough in zip(self.n_axes, cheap, strict=True) if enough), default=None)

    def summary(self) -> str:
        """How few directions are enough, beside losing the prompt altogether."""
        fewest, lost = self.smallest(), float(self.unrelated.mean())
        if fewest is None:
            tried = ", ".join(map(str, self.n_axes))
            return f"None of {tried} directions keeps the next word within a tenth of the {lost:.2f} nats to another prompt."
        cost = float(self.divergence.mean(axis=1)[self.n_axes.index(fewest)])
        return f"{fewest} directions a layer keep the next word within {cost:.3f} nats; another prompt would be {lost:.2f} away."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        found = {name: plain(getattr(self, name)) for name in ("n_axes", "divergence", "unrelated")}
        return found | {"provenance": self.provenance.to_dict()}

    def to_frame(self) -> "pandas.DataFrame":
        """A row a number of directions: mean and largest divergence, and the mean as a share of that of another prompt."""
        import pandas as pd

        mean = self.divergence.mean(axis=1)
        columns = {"n_axes": list(self.n_axes), "divergence": mean, "largest": self.divergence.max(axis=1)}
        return pd.DataFrame(columns | {"share_of_unrelated": mean / self.unrelated.mean()})


def truncation_cost(
    space: PatchableSpace,
    texts: Sequence[str],
    axes: Float[np.ndarray, "n_layers n_dims n_axes"],
    layers: Sequence[int],
    n_axes: Sequence[int],
) -> TruncationCost:
    """Cut last-token states to their first K directions at some layers, all in one pass, and compare what comes next.

    Parameters
    ----------
    space : PatchableSpace
    texts : sequence of str
        Two or more, other than those that gave the axes.
    axes : ndarray of shape (n_layers, n_dims, n_dims)
        Orthonormal columns by layer, the most important first, such as of :func:`lexframe.studies.transport.singular_axes`.
    layers : sequence of int
        Where to cut; of the same length as `axes`. 0 is the embedding output, k the output of block k.
    n_axes : sequence of int
        K, each from 1 to n_dims.

    Returns
    -------
    TruncationCost

    Raises
    ------
    InputError
        If there are fewer than two texts, the layers do not fit the axes, axes are missing, or a K is out of range.
    """
    n_dims = axes.shape[1]
    if len(texts) < 2:
        raise InputError(f"{len(texts)} texts were given; the divergence between unrelated prompts needs two or more.")
    if len(layers) != len(axes):
        raise InputError(f"Axes of {len(axes)} layers were given for {len(layers)} layers. Give those of each layer that is cut.")
    if axes.shape[2] != n_dims:  # what is cut off are the last of them: with some missing too little would be cut
        raise InputError(
            f"{axes.shape[2]} axes were given of states with {n_dims} dimensions, and a cut needs them all. "
            f"Take them from {n_dims} prompts or more."
        )
    wrong = [k for k in n_axes if not 1 <= k <= n_dims]
    if wrong:
        raise InputError(f"States cannot be cut to {wrong[0]} directions; expected 1 to {n_dims}.")
    whole = _next_words(space, texts)
    costs = []
    for k in n_axes:
        # Taking orthonormal directions away one after the other is a projection, in the words that a space understands.
        moves = [
            Intervention(layer=layer, vector=axis, how="remove", where="last")
            for layer, table in zip(layers, axes, strict=True)
            for axis in table.T[k:]
        ]
        with space.intervened(moves):
            costs.append(_divergence(whole, _next_words(space, texts)))
    provenance = Provenance(space=space.fingerprint, parameters={"layers": list(layers), "n_texts": len(texts)})
    return TruncationCost(tuple(n_axes), np.stack(costs), _unrelated(whole), provenance)


def _next_words(space: PatchableSpace, texts: Sequence[str]) -> Float[np.ndarray, "n_texts n_vocab"]:
    """Probabilities after each text."""
    points = space.encode_representations(texts, [Representation(-1, "last")])[:, 0]
    return softmax(space.lens.logits(space.lens.input(points, layer=-1)).astype(np.float64))


def _divergence(truth: Float[np.ndarray, "n n_vocab"], other: Float[np.ndarray, "n n_vocab"]) -> Float[np.ndarray, " n"]:
    """KL of each row of `other` from that of `truth`, in nats."""
    return np.maximum((truth * (np.log(truth + _TINY) - np.log(other + _TINY))).sum(axis=1), 0.0)


def _unrelated(rows: Float[np.ndarray, "n n_vocab"]) -> Float[np.ndarray, " n"]:
    """Mean KL of all other rows from each: one product instead of a pass a pair."""
    logs = np.log(rows + _TINY)
    cross = rows @ logs.T
    own = np.diag(cross)
    return (own * len(rows) - cross.sum(axis=1)) / (len(rows) - 1)
