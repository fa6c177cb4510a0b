"""The machine itself as adapters: clock, random ids, metrics."""
