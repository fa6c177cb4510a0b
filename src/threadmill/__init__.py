"""Threadmill: a self-hosted server for the Assistants API, wire-compatible, over any model."""
