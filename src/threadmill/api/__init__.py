"""The ASGI app: routes, auth, streams. Translates between `wire` and `engine`, and decides nothing itself."""
