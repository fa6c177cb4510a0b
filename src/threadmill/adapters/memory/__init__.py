"""Reference adapters in memory: the oracle of the contract suites; and the live log of this process."""
