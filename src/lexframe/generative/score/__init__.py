"""Whether a latent is used, and for what."""
