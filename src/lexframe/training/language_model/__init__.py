"""Pretraining of a language model: corpus, tokenizer, run, and how good it is."""
