"""One file per family of routes; each method parses, calls one use case, answers."""
