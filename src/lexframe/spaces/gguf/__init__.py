"""Models in the file format of llama.cpp: read once, and kept as transformers writes them."""
