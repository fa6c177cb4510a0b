"""OpenAI-compatible servers: request, stream, retries, errors, embeddings, reranking."""
