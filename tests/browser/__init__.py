"""A real browser, headless, against a whole server."""
