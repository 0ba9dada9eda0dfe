"""Words as vectors: analogies and retrofitting."""
