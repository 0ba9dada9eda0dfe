"""Mean and second moments of gradients on windows of text, a backward pass a window."""

import numpy as np

from tests.reference.scored_tokens import unpadded_next_tokens


def slow_moments(model, windows):
    """Of the gradient of the mean log-probability of a window's tokens, by the name of the tensor."""
    gradients = []
    for window in windows:
        model.zero_grad(set_to_none=True)
        (unpadded_next_tokens(model, window) / len(window.scored)).backward()
        gradients.append({name: each.grad.double().numpy().copy() for name, each in model.named_parameters()})
    names = list(gradients[0])
    means = {name: np.mean([each[name] for each in gradients], axis=0) for name in names}
    squares = {name: np.mean([each[name] ** 2 for each in gradients], axis=0) for name in names}
    return means, squares
