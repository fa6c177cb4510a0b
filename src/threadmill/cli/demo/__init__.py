"""`threadmill demo`: a server on a free port, one run through the official SDK, all of it shown."""
