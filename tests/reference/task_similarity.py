"""Similarities of tasks from the vectors of their blocks, split by split and pair by pair."""

import numpy as np


def cosine(x, y):
    return x @ y / np.sqrt((x @ x) * (y @ y))


def slow_similarities(vectors, sizes, splits):
    """`splits` has two lists of rows for every task, of each way to cut the tasks; gives similarities and reliabilities."""

    def mean(rows):
        return sum(sizes[row] * vectors[row] for row in rows) / sum(sizes[row] for row in rows)

    n_tasks = len(splits[0])
    means = [[tuple(mean(half) for half in task) for task in split] for split in splits]
    reliability = [np.mean([cosine(*split[task]) for split in means]) for task in range(n_tasks)]
    similarity = np.eye(n_tasks)
    for a in range(n_tasks):
        for b in range(a):
            across = np.mean([(cosine(split[a][0], split[b][1]) + cosine(split[a][1], split[b][0])) / 2 for split in means])
            similarity[a, b] = similarity[b, a] = across / np.sqrt(reliability[a] * reliability[b])
    return similarity, np.array(reliability)
