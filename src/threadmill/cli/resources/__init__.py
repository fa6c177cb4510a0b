"""The resource commands: `threadmill beta:threads:runs create …`, made from a table that is cut from the pinned spec.

table -> group (click) -> request (flags, files, standard input) -> transport -> answer (pages, streams) -> render.
"""
