"""Reference adapters in memory: the oracle of the contract suites."""
