"""The files a thread's code works with: what it was given lies in `/mnt/data` by id, what it made by its own name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from threadmill.domain.file import File
from threadmill.domain.link import Links
from threadmill.domain.run import Run
from threadmill.engine.offer import has_code
from threadmill.engine.ports.bundle import Ports


@dataclass(frozen=True, slots=True)
class Workspace:
    """Both map a path below `/mnt/data` to its file; of two files made under one name the newer counts."""

    given: Mapping[str, File] = field(default_factory=dict[str, File])
    made: Mapping[str, File] = field(default_factory=dict[str, File])

    @property
    def files(self) -> Mapping[str, File]:
        """All of it."""
        return {**self.given, **self.made}

    @property
    def names(self) -> Mapping[str, str]:
        """The given files' own names, as far as nothing else has them -> path. A newer file hides an older one."""
        named = {file.filename: path for path, file in self.given.items() if "/" not in file.filename}
        return {name: path for name, path in named.items() if name not in self.files and name not in (".", "..")}

    @property
    def links(self) -> Links:
        """What an answer can link to: paths, and names."""
        paths = {path: file.id for path, file in self.files.items()}
        return {**paths, **{name: paths[path] for name, path in self.names.items()}}

    def described(self) -> str:
        """For the model; empty if there are no files."""
        given = [f"/mnt/data/{path} ('{file.filename}')" for path, file in self.given.items()]
        made = [f"/mnt/data/{path}" for path in self.made]
        return "Files for your code: " + ", ".join([*given, *made]) + "." if given or made else ""


async def workspace(ports: Ports, run: Run) -> Workspace:
    """What the run's code can see; nothing if the run may not execute code."""
    if not has_code(run):
        return Workspace()
    given = await ports.files.existing(run.project, tuple(dict.fromkeys(run.tool_resources.file_ids or ())))
    made = await ports.files.made_in(run.project, run.thread_id)
    return Workspace(
        {file.id: file for file in given},
        {file.origin.path: file for file in made if file.origin is not None},
    )
