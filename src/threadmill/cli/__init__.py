"""The command `threadmill`."""
