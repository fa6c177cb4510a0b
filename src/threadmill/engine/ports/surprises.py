"""Where what nobody expected goes: told to the operator in full, to the API's clients without a word of it."""

from collections.abc import Callable
from typing import TypeAlias

OnError: TypeAlias = Callable[[str, BaseException | None], None]
"""Called with a sentence that holds no key, prompt or file content, and the exception if there is one; never raises."""

RUN_INTERNAL_ERROR = "Sorry, something went wrong."
"""The `last_error` message of a run that an unexpected exception ended, as the service words it."""

FILE_INTERNAL_ERROR = "An internal error occurred."
"""The same of a vector store's file."""
