"""The parameters that a task selects, one tensor at a time, as sets of places."""

import itertools

import numpy as np


def slow_selected(sizes, starts, share):
    chosen = set()
    for start, stop in itertools.pairwise(starts):
        n = max(1, round(share * (stop - start)))
        order = sorted(range(start, stop), key=lambda place: -sizes[place])
        chosen |= {place for place in order[:n] if sizes[place] > 0}
    return chosen


def slow_overlaps(coordinates, starts, block_sizes, splits, share):
    """`splits` has two lists of rows for every task, of each way to cut the tasks."""

    def mean(rows):
        return sum(float(block_sizes[row]) * coordinates[row] for row in rows) / sum(block_sizes[row] for row in rows)

    found = []
    for split in splits:
        sets = [[slow_selected(np.abs(mean(half)), starts, share) for half in task] for task in split]
        shared = [[len(one[0] & other[1]) / len(one[0]) for other in sets] for one in sets]
        found.append((np.array(shared) + np.array(shared).T) / 2)
    return np.mean(found, axis=0)
