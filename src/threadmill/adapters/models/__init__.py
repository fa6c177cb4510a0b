"""Models behind the `Model` port: upstreams that speak Chat Completions, and the built-in rehearsal."""
