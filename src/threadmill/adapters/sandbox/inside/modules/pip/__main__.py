"""`python -m pip install|list|freeze|show`: succeeds for what is installed, and says plainly why nothing else can be."""

import importlib.metadata
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def installed() -> dict[str, str]:
    """Normalised names and versions of what is there."""
    found = importlib.metadata.distributions()
    return {normalised(name): one.version for one in found if (name := one.metadata["Name"])}


def normalised(name: str) -> str:
    """Names differ by case, dots and dashes only in spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(arguments: Sequence[str]) -> Iterator[str]:
    """The names that are asked for, those of `-r` files included; options and versions aside."""
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word in {"-r", "--requirement"} and waiting:
            waiting += [line for line in Path(waiting.pop(0)).read_text().splitlines() if not line.startswith("#")]
        elif not word.startswith("-") and (name := _NAME.match(word)):
            yield name[1]


def install(arguments: Sequence[str]) -> int:
    """1 if something is asked for that is not there."""
    there, missing = installed(), list[str]()
    for name in requirements(arguments):
        version = there.get(normalised(name))
        if version is None:
            missing.append(name)
        else:
            print(f"Requirement already satisfied: {name} ({version})")
    if missing:
        print(f"ERROR: {', '.join(missing)} cannot be installed: there is no network in this sandbox.")
        print(f"Installed: {', '.join(sorted(there))}")
    return 1 if missing else 0


def show(arguments: Sequence[str]) -> int:
    """1 if one of them is not there."""
    there = installed()
    for name in requirements(arguments):
        if normalised(name) not in there:
            print(f"WARNING: Package(s) not found: {name}")
            return 1
        print(f"Name: {name}\nVersion: {there[normalised(name)]}")
    return 0


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    command, *rest = arguments or ["help"]
    if command == "install":
        return install(rest)
    if command == "show":
        return show(rest)
    if command in {"list", "freeze"}:
        print("\n".join(f"{name}=={version}" for name, version in sorted(installed().items())))
        return 0
    print("There is no network in this sandbox: pip can only `install` what is there, `list`, `freeze` and `show`.")
    return 0 if command in {"help", "--version", "--help"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
