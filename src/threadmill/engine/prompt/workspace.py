"""The files a thread's code works with: what it was given lies in `/mnt/data` by id, what it made by its own name.

A given file's own name is a link to it. Links are set and files taken away by code of ours, run in the session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from threadmill.domain.file import File
from threadmill.domain.run import Run
from threadmill.domain.sandbox_link import SandboxFiles
from threadmill.engine.ports.bundle import Ports
from threadmill.engine.ports.sandbox import DATA_DIR
from threadmill.engine.prompt.tool_functions import has_code_interpreter


@dataclass(frozen=True, slots=True)
class Workspace:
    """Both map a path below `/mnt/data` to its file; of two files made under one name the newer counts."""

    attached: Mapping[str, File] = field(default_factory=dict[str, File])
    created: Mapping[str, File] = field(default_factory=dict[str, File])

    @property
    def files(self) -> Mapping[str, File]:
        """All of it."""
        return {**self.attached, **self.created}

    @property
    def names(self) -> Mapping[str, str]:
        """The given files' own names, as far as nothing else has them -> path. A newer file hides an older one."""
        named = {file.filename: path for path, file in self.attached.items() if "/" not in file.filename}
        return {name: path for name, path in named.items() if name not in self.files and name not in (".", "..")}

    @property
    def links(self) -> SandboxFiles:
        """What an answer can link to: paths, and names."""
        paths = {path: file.id for path, file in self.files.items()}
        return {**paths, **{name: paths[path] for name, path in self.names.items()}}

    def name_of(self, path: str) -> str:
        """What a file at this path is called: the name it was given under, else the path's last part."""
        given = self.attached.get(path)
        return (path if given is None else given.filename).rsplit("/", 1)[-1]

    def link_path(self, path: str) -> str:
        """The path to link to: a given file's own name, if that is its."""
        name = self.name_of(path)
        return name if self.names.get(name) == path else path

    def prompt_text(self) -> str:
        """For the model; empty if there are no files."""
        given = [f"/mnt/data/{path} ('{file.filename}')" for path, file in self.attached.items()]
        made = [f"/mnt/data/{path}" for path in self.created if path not in self.attached]
        return "Files for your code: " + ", ".join([*given, *made]) + "." if given or made else ""


async def workspace(ports: Ports, run: Run) -> Workspace:
    """What the run's code can see; nothing if the run may not execute code."""
    if not has_code_interpreter(run):
        return Workspace()
    wanted = tuple(dict.fromkeys(run.tool_resources.file_ids or ()))
    given = sorted(await ports.files.find_many(run.project, wanted), key=lambda file: wanted.index(file.id))
    made = await ports.files.created_in_thread(run.project, run.thread_id)
    return Workspace(
        {file.id: file for file in given},
        {file.origin.path: file for file in made if file.origin is not None},
    )


def link_code(name: str, path: str) -> str:
    """Code that lets `name` lead to `path`, instead of where it leads now; what is no link stays as it is."""
    leads = "(os.path.islink(name) and os.unlink(name)) or os.symlink(path, name)"
    return f"(lambda os, path, name: {leads})(__import__('os'), {path!r}, {f'{DATA_DIR}/{name}'!r})"


def removal_code(path: str) -> str:
    """Code that takes `path` away, and the links to it."""
    links = f"[each.path for each in os.scandir('{DATA_DIR}') if each.is_symlink() and os.readlink(each) == path]"
    removed = f"[os.unlink(each) for each in (*{links}, '{DATA_DIR}/' + path) if os.path.lexists(each)]"
    return f"(lambda os, path: ({removed}, None)[1])(__import__('os'), {path!r})"
