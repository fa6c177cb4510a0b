"""`python -m threadmill` is the command."""

from threadmill.cli.main import main

main()
