"""--transform: JMESPath, and the simple paths of GJSON that users of the reference's command line have at hand.

The reference's own tool speaks GJSON; its only kept-up Python library is under the GPL, so JMESPath (ADR-0015).
"""

import re
from collections.abc import Callable

import jmespath
from jmespath.exceptions import JMESPathError

from threadmill.cli.resources.command_spec import Json
from threadmill.cli.resources.error import usage_error

_NUMBER, _ALL = re.compile(r"[0-9]+"), "#"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def transform_of(expression: str) -> Callable[[Json], Json]:
    """What applies the expression to a value; null where nothing fits. Raises CliError (usage)."""
    try:
        compiled = jmespath.compile(expression)
    except JMESPathError as error:
        translated = from_gjson(expression)
        if translated is None:
            problem = str(error).partition("\n")[0].rstrip(".")
            advice = "It is a JMESPath expression, such as id, data[0].id or data[].{id: id, status: status}."
            raise usage_error(f"--transform {expression!r} cannot be read: {problem}.", advice) from None
        compiled = jmespath.compile(translated)

    def apply(value: Json) -> Json:
        try:
            found: Json = compiled.search(value)
        except JMESPathError as error:
            raise usage_error(f"--transform {expression!r}: {str(error).rstrip('.')}.") from None
        return found

    return apply


def from_gjson(path: str) -> str | None:
    """The JMESPath of a simple GJSON path (`data.0.id`, `data.#.id`, `data.#`, `@this`); None for any other.

    No simple GJSON path with a number or # in it is JMESPath, so neither can be taken for the other.
    """
    if path == "@this":
        return "@"
    parts = path.removeprefix("@this.").split(".")
    counts = parts[-1] == _ALL and len(parts) > 1
    said = ""
    for part in parts[:-1] if counts else parts:
        if _NUMBER.fullmatch(part):
            said += f"[{part}]"
        elif part == _ALL:
            said += "[*]"
        elif _NAME.fullmatch(part):
            said += f".{part}"
        else:
            return None
    said = said.removeprefix(".")
    return f"length({said})" if counts else said
