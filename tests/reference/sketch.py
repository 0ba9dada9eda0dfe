"""A folded vector number by number, and the variance of an inner product of two, from the sum over every two numbers of one place."""

import numpy as np


def slow_fold(x, signs, k):
    sums = np.zeros(k)
    for i, number in enumerate(x):
        sums[i % k] += signs[i] * number
    return sums


def slow_variance(x, y, k):
    """Of the sum over i ≠ j at one place of s_i s_j x_i y_j, whose signs are independent: each pair {i, j} adds (x_i y_j + x_j y_i)²."""
    total = 0.0
    for place in range(k):
        a, b = x[place::k], y[place::k]
        for i in range(len(a)):
            for j in range(i):
                total += (a[i] * b[j] + a[j] * b[i]) ** 2
    return total
