"""The bubblewrap back end: one zygote in a bubblewrap, one forked session per thread."""
