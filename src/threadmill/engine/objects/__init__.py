"""What a request does: one module per object of the wire, each use case ending in one write set."""
