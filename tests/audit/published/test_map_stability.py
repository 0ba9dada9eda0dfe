import itertools
import json

import numpy as np
import pytest

from lexframe.audit.published.category_map import category_map
from lexframe.audit.published.map_stability import hull_stability
from lexframe.audit.published.point_map import map_points
from lexframe.exceptions import InputError


def test_stability_is_the_mean_over_pairs_of_sets(rng):
    given = np.repeat(np.arange(3), 30)
    points = (rng.normal(size=(3, 8))[given] + rng.normal(size=(90, 8))).astype(np.float32)
    found = hull_stability(points, given, [0, 1, 5], peel=0.1)
    sets = [
        {tuple(pair) for pair in category_map(map_points(points, method=method, seed=seed), given, peel=0.1).flagged().tolist()}
        for method, seed in [("umap", 0), ("umap", 1), ("umap", 5), ("pca", 0)]
    ]
    expected = [len(a & b) / len(a | b) for a, b in itertools.combinations(sets[:3], 2)]
    assert found.mean_jaccard == pytest.approx(np.mean(expected))
    assert found.pca_jaccard == pytest.approx(np.mean([len(a & sets[3]) / len(a | sets[3]) for a in sets[:3]]))
    assert (*found.n_flagged, found.n_flagged_by_pca) == tuple(map(len, sets))
    assert 0 < found.mean_jaccard < 1
    assert json.loads(json.dumps(found.to_dict()))["seeds"] == [0, 1, 5]


def test_stability_where_nothing_is_flagged_and_of_one_seed(rng):
    given = np.repeat(np.arange(2), 20)
    points = (given[:, np.newaxis] * 100 + rng.normal(size=(40, 4))).astype(np.float32)
    found = hull_stability(points, given, [0, 1])
    assert (found.n_flagged, found.mean_jaccard, found.pca_jaccard) == ((0, 0), 1.0, 1.0)
    assert hull_stability(points, given, [4]).mean_jaccard is None


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_bad_seeds(seeds, rng):
    with pytest.raises(InputError, match="expected one or more, all different"):
        hull_stability(rng.normal(size=(20, 3)).astype(np.float32), np.zeros(20, np.int64), seeds)
