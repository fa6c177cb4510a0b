"""The API's shapes: domain <-> JSON and SSE, nothing else."""
