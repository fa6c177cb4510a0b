"""Completion scripts for bash, zsh and fish: click's, except that bash must not split words at the colons of resources."""

from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" kind value
    local last="${line##*[[:space:]]}"
    local prefix="${last%%"${last##*:}"}"
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            file|dir) compopt -o default 2>/dev/null ;;
            plain) COMPREPLY+=("${value#"$prefix"}") ;;
        esac
    done < <(COMP_LINE="$line" %(complete_var)s=bash_complete %(prog_name)s)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class ColonBash(BashComplete):
    """Bash takes a colon for the end of a word. We read the whole line, and give back what follows the last colon."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = _BASH

    @staticmethod
    def _check_version() -> None:
        """No check: the script asks nothing of bash beyond version 4."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Words of the whole line, and the one that is begun."""
        import os  # noqa: PLC0415 - this runs in the shell's completion only

        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)
        begun = "" if not line or line[-1].isspace() or not words else words.pop()
        return words[1:], begun


def script(root: click.Command, shell: str) -> str:
    """The text a shell must read to complete `threadmill`."""
    classes: dict[str, type[ShellComplete]] = {"bash": ColonBash, "zsh": ZshComplete, "fish": FishComplete}
    return classes[shell](root, {}, "threadmill", "_THREADMILL_COMPLETE").source()


def register() -> None:
    """Let click answer bash with ours."""
    add_completion_class(ColonBash)
