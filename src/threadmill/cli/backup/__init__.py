"""`threadmill backup` and `threadmill restore`: a data directory as one file, and back."""
