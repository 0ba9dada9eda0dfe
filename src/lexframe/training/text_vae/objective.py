"""The parts of a text VAE's objective and its schedules, each a function of its own. All in nats.

A strong decoder needs no latent: the KL term then falls to zero and stays there (Bowman et al., 2016 [1]_). The parts below are the
remedies: a weight that starts at zero and comes in cycles [2]_, free bits [3]_, dropping words from what the decoder reads [1]_, and
asking the latent for the words of the text without their order.

References
----------
.. [1] Bowman et al. (2016), Generating Sentences from a Continuous Space, CoNLL, section 3.
.. [2] Fu et al. (2019), Cyclical Annealing Schedule, NAACL, eq. (6).
.. [3] Kingma et al. (2016), Improved Variational Inference with Inverse Autoregressive Flow, NeurIPS, appendix C.8; the hinge of
   Li et al. (2019), A Surprisingly Effective Fix for Deep Latent Variable Modeling of Text, EMNLP, eq. (3).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def gaussian_kl(
    mean: Float[Tensor, "n_texts n_latent"], log_variance: Float[Tensor, "n_texts n_latent"]
) -> Float[Tensor, "n_texts n_latent"]:
    """KL of N(mean, variance) from N(0, 1), by dimension: ½(μ² + σ² − 1 − ln σ²)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def free_bits(kl: Float[Tensor, "n_texts n_latent"], threshold: float) -> Float[Tensor, ""]:
    """Σ_d max(threshold, mean over the batch of KL_d): below the threshold a dimension costs nothing more, and has no gradient.

    Parameters
    ----------
    kl : Tensor of shape (n_texts, n_latent)
        From :func:`gaussian_kl`.
    threshold : float
        Nats a dimension. At 0 this is the mean KL.
    """
    return kl.mean(0).clamp(min=threshold).sum()


def information_bound(
    mean: Float[Tensor, "n_texts n_latent"], log_variance: Float[Tensor, "n_texts n_latent"]
) -> Float[Tensor, " n_latent"]:
    """Mean KL, by dimension, of the texts' Gaussians from the Gaussian that has the mean and the variance of all of them together.

    It is what :func:`gaussian_kl` comes to once the prior is fitted, and no less than what a dimension tells of a text. A mean that all
    texts share, or a variance that all texts share, costs nats of :func:`gaussian_kl` and tells nothing: here it counts for nothing.
    """
    variance = log_variance.exp()
    return 0.5 * (torch.log(mean.var(0, correction=0) + variance.mean(0)) - log_variance.mean(0))


def cyclical_weight(fraction: float, *, warm_share: float, n_cycles: int, rise_share: float, top: float = 1.0) -> float:
    """Weight of the KL term at a fraction of the budget.

    Parameters
    ----------
    fraction : float
        Of the budget that is spent, 0 to 1.
    warm_share : float
        Share of the budget at weight 0, before the cycles: an autoencoder, whose latent the decoder learns to read.
    n_cycles : int
        Cycles in the rest; 0 gives `top` throughout.
    rise_share : float
        Share of each cycle in which the weight rises linearly from 0 to `top`, where it stays for the rest of the cycle.
    top : float
        1 is the evidence lower bound, 0 an autoencoder.
    """
    if fraction < warm_share:
        return 0.0
    if not n_cycles:
        return top
    within = (fraction - warm_share) / (1 - warm_share) * n_cycles
    if within >= n_cycles:
        return top
    return top * min(1.0, (within % 1.0) / rise_share) if rise_share else top


def linear_between(start: float, end: float, fraction: float) -> float:
    """From `start` at fraction 0 to `end` at fraction 1."""
    return start + (end - start) * min(1.0, max(0.0, fraction))


def dropped_words(mask: Int[Tensor, "n_texts n_tokens"], rate: float, generator: torch.Generator) -> Bool[Tensor, "n_texts n_tokens"]:
    """Which of the decoder's input tokens are hidden from it, each with probability `rate`; the beginning of a text never is."""
    hidden = torch.rand(mask.shape, generator=generator).to(mask.device) < rate
    hidden[:, 0] = False
    return hidden & mask.bool()


def bag_of_words_loss(
    logits: Float[Tensor, "n_texts n_vocab"], targets: Int[Tensor, "n_texts n_tokens"], mask: Int[Tensor, "n_texts n_tokens"]
) -> Float[Tensor, " n_texts"]:
    """Minus the log-probability of a text's tokens, each drawn alone from softmax(logits) (Zhao et al., 2017 [4]_, eq. 6).

    Parameters
    ----------
    logits : Tensor of shape (n_texts, n_vocab)
    targets : Tensor of int64, shape (n_texts, n_tokens)
    mask : Tensor of int64, shape (n_texts, n_tokens)
        0 for padding, which contributes nothing.

    References
    ----------
    .. [4] Zhao, Zhao and Eskenazi (2017), Learning Discourse-level Diversity for Neural Dialog Models, ACL.
    """
    chosen = logits.float().log_softmax(-1).gather(1, targets)
    return -torch.where(mask.bool(), chosen, 0.0).sum(1)


def log_mean_exp(log_weights: Float[Tensor, "n_texts n_samples"]) -> Float[Tensor, " n_texts"]:
    """The importance-weighted bound on log p(x) of each text (Burda et al., 2016 [5]_, eq. 8).

    Parameters
    ----------
    log_weights : Tensor of shape (n_texts, n_samples)
        log p(x | z) + log p(z) − log q(z | x) at draws of q(z | x).

    References
    ----------
    .. [5] Burda, Grosse and Salakhutdinov (2016), Importance Weighted Autoencoders, ICLR.
    """
    return log_weights.logsumexp(1) - torch.log(torch.tensor(float(log_weights.shape[1])))
