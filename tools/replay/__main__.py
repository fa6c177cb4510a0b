"""The command: `python -m tools.replay DIR`. Exit code 0: nothing unexplained; 1: differences; 2: cannot be played."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.replay.known import LIST, BadList, Known, read_list
from tools.replay.recording import Recording, load
from tools.replay.replay import Options, replay
from tools.replay.report import lines, ok
from tools.replay.server import Target


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, play, print. A file that is no recording is named and the others are played all the same."""
    options = _parser().parse_args(arguments)
    try:
        known = Known() if options.strict else read_list(options.list)
    except BadList as error:
        print(error, file=sys.stderr)
        return 2
    recordings, faults = load(*options.places)
    recordings = [one for one in recordings if not options.only or one.name in options.only]
    print("".join(f"{fault}\n" for fault in faults), end="", file=sys.stderr)
    if not recordings:
        print("Nothing to play.", file=sys.stderr)
        return 2
    with _quiet():
        differs = _play(recordings, known, options)
    return 2 if faults else differs


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """A scripted failure is no news; who called `main` gets the log back as it was."""
    log = logging.getLogger("threadmill")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _play(recordings: Sequence[Recording], known: Known, options: argparse.Namespace) -> int:
    target = Target(options.base_url.rstrip("/"), options.api_key) if options.base_url else None
    how = Options(target, options.upstream_port, options.patience)
    outcomes = asyncio.run(replay(recordings, known, how))
    stale = known.stale({outcome.name: outcome.is_whole for outcome in outcomes})
    unused = known.unused() if options.verbose else []
    report = "\n".join(lines(outcomes, stale, unused, verbose=options.verbose))
    print(report.encode(errors="backslashreplace").decode())  # any text may be recorded
    return 0 if ok(outcomes, stale) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.replay", description=__doc__)
    parser.add_argument("places", nargs="+", type=Path, metavar="DIR", help="directories of recordings, or files")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="play these recordings only")
    parser.add_argument("--list", type=Path, default=LIST, help="the written list of differences that are meant")
    parser.add_argument("--strict", action="store_true", help="without any list: show every difference")
    parser.add_argument("--base-url", default="", help="a running server, with /v1, instead of one of its own")
    parser.add_argument("--api-key", default="any", help="a key of that server")
    parser.add_argument("--upstream-port", type=int, default=0, help="where that server finds its upstream")
    parser.add_argument("--patience", type=float, default=10.0, metavar="SECONDS", help="how long to wait for an event")
    parser.add_argument("-v", "--verbose", action="store_true", help="every exchange and every difference")
    return parser


if __name__ == "__main__":
    sys.exit(main())
