"""What the server and the parent of readers say to each other. Apart, so that the server loads no parser."""

import struct

REQUEST = struct.Struct("!16sQIQ")
"""Extension, bytes of memory, seconds of processor time, characters."""

STARTED, REFUSED = b"+", b"-"
"""One of them comes first on a status socket: the reader is there, or the system has no room for a process."""

STATUS = struct.Struct("!i")
"""A reader's exit code; below 0 the signal that ended it."""

CONTROL = 3
"""The descriptor of the control socket. Whatever else was inherited is closed before anything else is done."""
