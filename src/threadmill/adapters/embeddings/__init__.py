"""Embeddings on this machine: the extra `threadmill[local-embeddings]`."""
