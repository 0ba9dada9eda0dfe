"""A prompt's path through the layers, read by lenses."""
