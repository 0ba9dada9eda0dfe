"""What a step of a text VAE minimises: which terms stand in the loss, at which part of the budget, with which weights."""

import torch
from torch import Tensor

from lexframe.spaces.text_vae.network import TextVAENetwork, token_log_probabilities
from lexframe.spaces.text_vae.texts import VAEBatch
from lexframe.training.text_vae.objective import (
    bag_of_words_loss,
    cyclical_weight,
    dropped_words,
    free_bits,
    gaussian_kl,
    information_bound,
    linear_between,
    log_mean_exp,
)
from lexframe.training.text_vae.plan import TextVAEPlan


class TrainingLoss:
    """The loss of a batch at a fraction of the budget.

    Parameters
    ----------
    plan : TextVAEPlan
    network : TextVAENetwork
    """

    def __init__(self, plan: TextVAEPlan, network: TextVAENetwork):
        self.plan, self.network = plan, network

    def __call__(self, batch: VAEBatch, fraction: float) -> tuple[Tensor, float, float]:
        """The loss of a batch, divided by its tokens, with reconstruction and KL in nats a text."""
        plan, network = self.plan, self.network
        n_texts, n_tokens = len(batch.mask), batch.mask.sum()
        hidden = linear_between(plan.word_dropout, plan.word_dropout_end, fraction)
        dropped = dropped_words(batch.mask, hidden, torch.default_generator) if hidden else None
        if not plan.n_latent:
            reconstruction = self._reconstruction(batch, None, dropped)
            return reconstruction * n_texts / n_tokens, reconstruction.item(), 0.0
        mean, log_variance = network.posterior(batch.encoder_ids, batch.encoder_mask)
        if fraction >= 1 - plan.importance_share:
            return self._importance_losses(batch, mean, log_variance)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        reconstruction = self._reconstruction(batch, z if fraction >= plan.writing_share else None, dropped)
        kl = gaussian_kl(mean, log_variance)
        loss = reconstruction + self.kl_weight(fraction) * free_bits(kl, plan.free_nats / plan.n_latent)
        weight = linear_between(plan.bag_of_words, plan.bag_of_words_end, fraction)
        if weight:
            loss = loss + weight * bag_of_words_loss(network.bag_of_words(z), batch.targets, batch.mask).mean()
        return loss * n_texts / n_tokens, reconstruction.item(), kl.sum(1).mean().item()

    def _reconstruction(self, batch: VAEBatch, z: Tensor | None, dropped: Tensor | None) -> Tensor:
        logits = self.network.decoder(batch.inputs, batch.mask, z, dropped=dropped)
        return -token_log_probabilities(logits, batch.targets, batch.mask).sum() / len(batch.mask)

    def _importance_losses(self, batch: VAEBatch, mean: Tensor, log_variance: Tensor) -> tuple[Tensor, float, float]:
        n_samples, network = self.plan.n_training_samples, self.network
        mean, log_variance = (part.repeat_interleave(n_samples, 0) for part in (mean, log_variance))
        noise = torch.randn_like(mean)
        z = mean + torch.exp(0.5 * log_variance) * noise
        inputs, targets, mask = (part.repeat_interleave(n_samples, 0) for part in (batch.inputs, batch.targets, batch.mask))
        log_p = token_log_probabilities(network.decoder(inputs, mask, z), targets, mask).sum(1)
        # log p(z) - log q(z | x), in which the constants of both Gaussians cancel
        log_ratio = 0.5 * (noise.square() + log_variance - z.square()).sum(1)
        bound = log_mean_exp((log_p + log_ratio).view(-1, n_samples))
        missing = (self.plan.least_nats - information_bound(mean, log_variance).sum()).clamp(min=0)
        kl = gaussian_kl(mean, log_variance).sum(1).mean().item()
        return (missing * len(bound) - bound.sum()) / batch.mask.sum(), -log_p.mean().item(), kl

    def kl_weight(self, fraction: float) -> float:
        """Weight of the KL term at a fraction of the budget."""
        plan = self.plan
        return cyclical_weight(fraction, warm_share=plan.warm_share, n_cycles=plan.n_cycles, rise_share=plan.rise_share, top=plan.kl_weight)

    def is_final(self, fraction: float) -> bool:
        """Whether the objective is the one of the end.

        Before the decoder is given the latent, and while the weight rises, it is another one; a trained decoder is then still best
        without its latent.
        """
        plan = self.plan
        risen = fraction > plan.writing_share and self.kl_weight(fraction) >= plan.kl_weight
        return risen or fraction >= 1 - plan.importance_share
