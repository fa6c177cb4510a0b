"""One vector store's index on disk, both halves and the manifest that binds them. Blocking: runs in threads."""

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import tantivy

from threadmill.adapters.search import manifest
from threadmill.adapters.search.ann import Approximate
from threadmill.adapters.search.bm25 import Entry, Lexical
from threadmill.adapters.search.manifest import FileRows, Manifest
from threadmill.adapters.search.vectors import Floats, Vectors, nearest
from threadmill.domain.ids import FileId
from threadmill.engine.ports.search_index import Hit, IndexedFile, IndexHits, IndexQuery

Numbers: TypeAlias = npt.NDArray[np.int32]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class View:
    """The index as of one commit. A search uses one view from start to end, whatever is written meanwhile.

    `owner` and `place` give for each row the put it belongs to (0: none) and its chunk's number; `near` are the rows
    that have a vector.
    """

    searcher: tantivy.Searcher
    files: Mapping[str, FileRows]
    file_of: Mapping[int, FileId]
    owner: Numbers
    place: Numbers
    near: Flags
    matrix: Floats


class Shelf:
    """The index in `directory`. One thread writes at a time; any number search.

    After an error of a writing call the shelf must be opened anew: memory and disk may differ.
    """

    def __init__(self, directory: Path, large: int) -> None:
        """Open or create; `large` is the number of vectors from which the search for near ones is approximate.

        Raises ValueError or OSError when what is there cannot be read.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._directory: Path = directory
        self._path: Path = directory / "manifest.json"
        found = manifest.load(self._path)
        if found is None:
            # Parts without the manifest that explains them are of no use.
            shutil.rmtree(directory / "words", ignore_errors=True)
            self._vector_path.unlink(missing_ok=True)
        self._manifest: Manifest = found or Manifest()
        self._lexical: Lexical = Lexical(directory / "words")
        self._vectors: Vectors = Vectors(self._vector_path, self._manifest.dimensions, self._manifest.height)
        self._approximate: Approximate = Approximate(directory, large)
        self.view: View = self._look()

    @property
    def _vector_path(self) -> Path:
        return self._directory / "vectors.f32"

    def mend(self) -> None:
        """Find out which files are really here, whole and in both halves, and forget the others."""
        counts = self._lexical.chunks_by_put()
        sound = {name: file for name, file in self._manifest.files.items() if self._is_sound(file, counts)}
        known = {file.put for file in sound.values()}
        if unknown := counts.keys() - known:
            self._lexical.write([], unknown)
        if len(sound) < len(self._manifest.files) or unknown:
            self._manifest.files = sound
            manifest.save(self._path, self._manifest)
        self.view = self._look()

    def editions(self) -> dict[FileId, str]:
        """The files that are here."""
        return {FileId(name): file.edition for name, file in self._manifest.files.items()}

    def write(self, put: Sequence[IndexedFile], removed: Collection[FileId]) -> None:
        """Take in files in place of what they had, forget others, all in one commit."""
        before, changed = self._manifest, {file.file_id for file in put} | set(removed)
        gone = [file for name, file in before.files.items() if name in changed]
        kept = {name: file for name, file in before.files.items() if name not in changed}
        switched = self._switch(put)
        if switched:
            kept = {name: FileRows(name, file.edition, file.put, file.runs) for name, file in kept.items()}
        after = Manifest(before.format, before.dimensions, before.height, before.next_put, kept)
        placed = _place(put, after, before.free_runs())
        self._vectors = Vectors(self._vector_path, after.dimensions, after.height)
        fresh = {file.file_id: self._store_vectors(file, rows) for file, rows in placed}
        kept |= fresh
        self._lexical.write(_entries(placed), [file.put for file in gone])
        self._manifest = after
        manifest.save(self._path, after)
        self.view = self._look() if switched else self._look_again(gone, fresh.values())

    def rest(self) -> None:
        """Nothing more is to be written for now: end merges, give memory back."""
        self._lexical.rest()

    def advance(self) -> bool:
        """Do a slice of the approximate index's work; False once there is none left."""
        view = self.view
        return self._approximate.advance(view.matrix, view.owner, view.near)

    def close(self) -> None:
        """Keep on disk what would be slow to compute again."""
        self.rest()
        self._approximate.save()

    def search(self, query: IndexQuery) -> IndexHits:
        """Both halves of the port's `search`."""
        view = self.view
        puts = None if query.files is None else _puts(view, query.files)
        if puts is not None and not puts:
            return IndexHits()
        lexical = self._lexical.search(view.searcher, query.text, puts, query.depth) if query.text else []
        semantic = self._nearest(view, query.vector, puts, query.depth) if query.vector else []
        return IndexHits(_hits(view, lexical), _hits(view, semantic))

    def _nearest(self, view: View, vector: bytes, puts: Collection[int] | None, depth: int) -> list[tuple[int, float]]:
        question = np.frombuffer(vector, "<f4")
        if len(question) != view.matrix.shape[1] or not len(view.matrix):
            return []
        wanted = view.near
        if puts is not None:
            allowed = np.zeros(int(view.owner.max()) + 1, np.bool_)
            allowed[[put for put in puts if put < len(allowed)]] = True
            wanted = wanted & allowed[view.owner]
        found = self._approximate.nearest(view.matrix, view.owner, question, wanted, depth)
        return nearest(view.matrix, question, wanted, depth) if found is None else found

    def _is_sound(self, file: FileRows, counts: Mapping[int, int]) -> bool:
        if counts.get(file.put, 0) != file.count:
            return False
        return file.sum is None or self._vectors.sum(file.runs) == file.sum

    def _switch(self, put: Sequence[IndexedFile]) -> bool:
        """Vectors of another size start the nearness half anew; searches still reading the old file keep it open."""
        sizes = {len(chunk.vector) // 4 for file in put for chunk in file.chunks if chunk.vector}
        if not sizes - {self._manifest.dimensions}:
            return False
        self._manifest.dimensions = max(sizes)
        self._vector_path.unlink(missing_ok=True)
        self._approximate.forget()
        return True

    def _store_vectors(self, file: IndexedFile, rows: FileRows) -> FileRows:
        width = self._vectors.dimensions * 4
        vectors = [chunk.vector for chunk in file.chunks if chunk.vector and len(chunk.vector) == width]
        if not vectors or len(vectors) < len(file.chunks):
            return rows
        return FileRows(rows.file_id, rows.edition, rows.put, rows.runs, self._vectors.write(rows.runs, vectors))

    def _look(self) -> View:
        """The present state."""
        height = self._manifest.height
        owner, place, near = np.zeros(height, np.int32), np.zeros(height, np.int32), np.zeros(height, np.bool_)
        for file in self._manifest.files.values():
            _mark(file, owner, place, near)
        return self._view(owner, place, near)

    def _look_again(self, gone: Iterable[FileRows], fresh: Iterable[FileRows]) -> View:
        """The present state, from the last one and what changed since: a store may have ten thousand files."""
        old, more = self.view, self._manifest.height - len(self.view.owner)
        owner, place, near = np.pad(old.owner, (0, more)), np.pad(old.place, (0, more)), np.pad(old.near, (0, more))
        for file in gone:
            for start, length in file.runs:
                owner[start : start + length] = 0
                near[start : start + length] = False
        for file in fresh:
            _mark(file, owner, place, near)
        return self._view(owner, place, near)

    def _view(self, owner: Numbers, place: Numbers, near: Flags) -> View:
        files = self._manifest.files
        file_of = {file.put: FileId(name) for name, file in files.items()}
        return View(self._lexical.searcher(), files, file_of, owner, place, near, np.asarray(self._vectors.matrix))


def _mark(file: FileRows, owner: Numbers, place: Numbers, near: Flags) -> None:
    at = 0
    for start, length in file.runs:
        rows = slice(start, start + length)
        owner[rows], near[rows] = file.put, file.sum is not None
        place[rows] = np.arange(at, at + length)
        at += length


def _place(
    put: Sequence[IndexedFile], after: Manifest, free: list[tuple[int, int]]
) -> list[tuple[IndexedFile, FileRows]]:
    """Give each file a put and rows, of the free ones first; those freed by the same write are not yet free."""
    placed: list[tuple[IndexedFile, FileRows]] = []
    for file in put:
        runs, after.height = manifest.take(free, after.height, len(file.chunks))
        placed.append((file, FileRows(file.file_id, file.edition, after.next_put, runs)))
        after.next_put += 1
    return placed


def _entries(placed: Sequence[tuple[IndexedFile, FileRows]]) -> Iterator[Entry]:
    for file, rows in placed:
        for chunk, row in zip(file.chunks, rows.rows(), strict=True):
            yield Entry(rows.put, row, chunk.text)


def _puts(view: View, files: Collection[FileId]) -> list[int]:
    return [view.files[file].put for file in files if file in view.files]


def _hits(view: View, scored: Sequence[tuple[int, float]]) -> tuple[Hit, ...]:
    """Rows as chunks of files; a row nobody owns in this view is left out."""
    found: list[Hit] = []
    for row, score in scored:
        put = int(view.owner[row]) if row < len(view.owner) else 0
        if put:
            found.append(Hit(view.file_of[put], int(view.place[row]), score))
    return tuple(found)
