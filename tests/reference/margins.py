"""Margins of pairs, a side at a time, and how they change when weights move: before and after."""

from contextlib import contextmanager

import torch


def slow_margin(log_probability, pairs, *, per_token=False, one_sided=False):
    """Mean over pairs of the better side's log-probability less that of the worse one; `log_probability` scores one side."""
    total = 0.0
    for pair in pairs:
        with torch.no_grad():
            good, bad = float(log_probability(pair.good)), float(log_probability(pair.bad))
        if per_token:
            good, bad = good / len(pair.good.scored), bad / len(pair.bad.scored)
        total += good if one_sided else good - bad
    return total / len(pairs)


def slope(measure, parameter, direction, *, step=1e-2):
    """Of `measure()` along a direction of one parameter, of length one, by central differences.

    Some families compute their norms in float32 whatever their weights are in, so that smaller steps drown.
    """
    with moved(parameter, step * direction):
        ahead = measure()
    with moved(parameter, -step * direction):
        behind = measure()
    return (ahead - behind) / (2 * step)


@contextmanager
def moved(parameter, by):
    before = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(by)
    try:
        yield
    finally:
        with torch.no_grad():
            parameter.copy_(before)
