"""Request bodies and query parameters: checked against the spec's limits, turned into domain values."""
