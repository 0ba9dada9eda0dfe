"""What an audit will cost, before it starts."""

from lexframe.audit.category_posterior import MAX_CANDIDATES
from lexframe.audit.ngram_control import MOST_ITEMS
from lexframe.latents.neighbors import MOST_EXACT_ROWS

# Measured on two cores of a laptop's kind; see benchmarks/audit.py. Machines differ by a factor of two or three.
PRODUCTS_A_SECOND, GRAPH_SECONDS_A_ROW, SECONDS_A_NUMBER = 6e10, 2.5e-4, 2.5e-7
SECONDS_A_TEXT = 1.5e-3
"""Of n-grams: to count them, to bring them to few dimensions, and to look for planted labels in these."""


def audit_cost(n_items: int, n_dims: int, n_categories: int, *, check: bool = False, ngrams: bool = False) -> tuple[float, float]:
    """About how many seconds an audit takes, and how many megabytes beyond the points.

    Parameters
    ----------
    n_items, n_dims, n_categories : int
    check : bool
        Whether wrong labels are planted and looked for.
    ngrams : bool
        Whether they are looked for by n-grams of the texts too.

    Returns
    -------
    seconds, megabytes : float
    """
    neighbors = n_items**2 * n_dims / PRODUCTS_A_SECOND if n_items < MOST_EXACT_ROWS else n_items * GRAPH_SECONDS_A_ROW
    products = 6 * n_items * n_dims * (n_dims + n_categories) / PRODUCTS_A_SECOND
    candidates = min(n_categories, MAX_CANDIDATES)
    fit = products + n_items * candidates * 12 * SECONDS_A_NUMBER
    seconds = 1.0 + neighbors + fit * (2 if check else 1) + (SECONDS_A_TEXT * min(n_items, MOST_ITEMS) if ngrams else 0)
    megabytes = 200 + n_items * (candidates * 60 + 21 * 24) / 1e6 + (0 if n_items < MOST_EXACT_ROWS else n_items * 96 * 8 / 1e6)
    return float(seconds), float(megabytes)
