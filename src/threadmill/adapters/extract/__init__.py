"""Documents to text, in limited subprocesses."""
