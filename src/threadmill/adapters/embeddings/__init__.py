"""Embedders and rerankers: an upstream's, or a model on this machine."""
