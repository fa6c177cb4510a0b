"""Measures Threadmill against raw and naive stacks in one interleaved run: `make bench`."""
