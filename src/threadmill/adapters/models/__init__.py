"""Models behind one door: OpenAI-compatible upstreams, the built-in rehearsal, and the router over both."""
