"""The ports: small protocols the engine owns, each with its contract in its docstring."""
