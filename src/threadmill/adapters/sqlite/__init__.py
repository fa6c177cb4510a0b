"""The embedded store: one SQLite file, one writer thread, a few readers (ADR-0003)."""
