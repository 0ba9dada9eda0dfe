"""Clusters of tasks: planted ones, a tree worked out by hand, and how far resamples agree."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from lexframe.exceptions import InputError
from lexframe.task_space.reading.clusters import cluster_tasks
from lexframe.task_space.reading.hypotheses import same_group

GROUPS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 2]


def planted(rng, noise=0.05, *shape):
    groups = same_group([str(group) for group in GROUPS])
    matrix = rng.normal(size=(*shape, 10, 10)) * noise
    return 0.8 * groups + (matrix + np.swapaxes(matrix, -1, -2)) / 2


def test_planted_groups_are_found_and_their_number(rng):
    similarity = planted(rng)
    found = cluster_tasks(similarity)
    assert found.n_clusters == 3
    assert adjusted_rand_score(GROUPS, found.labels) == 1
    distances = np.where(np.eye(10) > 0, 0, 1 - similarity)
    assert found.silhouette == pytest.approx(silhouette_score(distances, found.labels, metric="precomputed"))
    assert found.stability is found.together is None
    assert "3 clusters" in found.summary()


def test_heights_are_one_minus_mean_similarity():
    similarity = np.array([[1, 0.9, 0.3, 0.1], [0.9, 1, 0.5, 0.2], [0.3, 0.5, 1, 0.6], [0.1, 0.2, 0.6, 1]])
    found = cluster_tasks(similarity, n_clusters=2)
    np.testing.assert_allclose(found.linkage[:, 2], [0.1, 0.4, 1 - (0.3 + 0.1 + 0.5 + 0.2) / 4])
    assert found.order in ((0, 1, 2, 3), (3, 2, 1, 0))  # the most alike ones of both clusters touch
    assert found.labels == ((0, 0, 1, 1) if found.order[0] == 0 else (1, 1, 0, 0))
    single = cluster_tasks(similarity, n_clusters=2, method="single")
    np.testing.assert_allclose(single.linkage[:, 2], [0.1, 0.4, 0.5])


def test_the_order_is_that_of_the_tree_and_numbers_follow_it(rng):
    similarity = planted(rng, 0.5)
    found = cluster_tasks(similarity, n_clusters=4)
    assert found.order == tuple(leaves_list(found.linkage))
    seen = [found.labels[task] for task in found.order]
    assert seen == sorted(seen)
    assert set(seen) == {0, 1, 2, 3}
    distances = np.where(np.eye(10) > 0, 0, np.maximum(1 - similarity, 0))
    plain = leaves_list(linkage(squareform(distances), method="average"))
    ours = np.array(found.order)
    assert distances[ours[1:], ours[:-1]].sum() < distances[plain[1:], plain[:-1]].sum()  # neighbors are more alike


def test_similarities_beyond_one_are_no_distance_below_zero():
    similarity = np.array([[1, 1.2, 0, 0], [1.2, 1, 0, 0], [0, 0, 1, 1.1], [0, 0, 1.1, 1.0]])
    found = cluster_tasks(similarity)
    np.testing.assert_allclose(found.linkage[:, 2], [0, 0, 1])
    assert found.silhouette == 1


def test_ties_still_give_so_many_clusters():
    assert sorted(set(cluster_tasks(np.eye(6), n_clusters=4).labels)) == [0, 1, 2, 3]
    assert cluster_tasks(np.eye(6)).n_clusters == 2  # all are as bad: the smallest


def test_resamples_that_agree_and_that_do_not(rng):
    similarity = planted(rng)
    same = cluster_tasks(similarity, resampled=planted(rng, 0.05, 10).astype(np.float32))
    assert same.stability == 1
    np.testing.assert_array_equal(same.together, same_group([str(group) for group in GROUPS]))
    noisy = planted(rng, 1.0, 12).astype(np.float32)
    noisy[2, 0, 0] = np.nan
    found = cluster_tasks(similarity, resampled=noisy)
    others = [cluster_tasks(one.astype(float), n_clusters=3).labels for number, one in enumerate(noisy) if number != 2]
    assert found.stability == pytest.approx(np.mean([adjusted_rand_score(found.labels, labels) for labels in others]))
    expected = np.mean([np.equal.outer(labels, labels) for labels in map(np.array, others)], axis=0)
    np.testing.assert_allclose(found.together, expected)
    assert found.stability < 0.8
    assert f"{found.stability:.2f}" in found.summary()
    assert len(found.to_dict()["together"]) == 10


def test_the_order_of_tasks_does_not_matter(rng):
    similarity, order = planted(rng, 0.6), rng.permutation(10)
    moved = cluster_tasks(similarity[np.ix_(order, order)])
    assert adjusted_rand_score(np.array(cluster_tasks(similarity).labels)[order], moved.labels) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "ward"}, "expected one of average"),
        ({"n_clusters": 1}, "n_clusters is 1; expected 2 to 3"),
        ({"n_clusters": 4}, "n_clusters is 4; expected 2 to 3"),
        ({"similarity": np.eye(2)}, "2 tasks; expected 3 or more"),
        ({"similarity": np.full((4, 4), np.inf)}, "not finite"),
    ],
)
def test_what_cannot_be_clustered(options, said):
    with pytest.raises(InputError, match=said):
        cluster_tasks(**({"similarity": np.eye(4)} | options))
