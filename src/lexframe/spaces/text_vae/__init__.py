"""The latent of a text VAE as a space that writes."""
