"""The slow, obvious lens statistics: one distribution at a time, in float64, with nothing shared."""

import numpy as np


def softmax(logits):
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    return shifted / shifted.sum()


def entropy(p):
    return float(-sum(x * np.log(x) for x in p if x > 0))


def kl(p, q):
    return float(sum(x * np.log(x / y) for x, y in zip(p, q, strict=True) if x > 0))


def js(p, q):
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def statistics(logits, answers=None, n_top=3):
    """Of logits (n_layers, n_tokens, n_vocab): a dict of tables."""
    n_layers, n_tokens, _ = logits.shape
    found = {name: np.zeros((n_layers, n_tokens)) for name in ("entropy", "kl_to_final", "js_to_previous", "answer_probability")}
    found["answer_rank"] = np.zeros((n_layers, n_tokens), dtype=int)
    found["top_ids"] = np.zeros((n_layers, n_tokens, n_top), dtype=int)
    for token in range(n_tokens):
        distributions = [softmax(logits[layer, token]) for layer in range(n_layers)]
        final = distributions[-1]
        answer = int(final.argmax()) if answers is None else int(answers[token])
        for layer, p in enumerate(distributions):
            found["entropy"][layer, token] = entropy(p)
            found["kl_to_final"][layer, token] = kl(final, p)
            found["js_to_previous"][layer, token] = js(distributions[layer - 1], p) if layer else 0.0
            found["answer_probability"][layer, token] = p[answer]
            found["answer_rank"][layer, token] = sum(x > p[answer] for x in p)
            found["top_ids"][layer, token] = sorted(range(len(p)), key=lambda i: -p[i])[:n_top]
    return found
