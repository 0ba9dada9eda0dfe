"""Training of a text VAE."""
