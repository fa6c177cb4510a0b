"""One vector store's index on disk, both halves and the manifest that binds them. Blocking: runs in threads."""

import contextlib
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import tantivy

from threadmill.adapters.search import manifest
from threadmill.adapters.search.ann import AnnGraph
from threadmill.adapters.search.bm25 import Bm25Index, ChunkDocument
from threadmill.adapters.search.manifest import FileRows, Manifest
from threadmill.adapters.search.vectors import Floats, Vectors, nearest
from threadmill.domain.ids import FileId
from threadmill.engine.ports.search_index import Hit, IndexedFile, IndexHits, IndexQuery

Numbers: TypeAlias = npt.NDArray[np.int32]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The index as of one commit. A search uses one snapshot from start to end, whatever is written meanwhile.

    `generation_of_row` and `chunk_of_row` give for each row the generation it belongs to (0: none) and its chunk's number; `has_vector` are the rows
    that have a vector.
    """

    searcher: tantivy.Searcher
    files: Mapping[str, FileRows]
    file_of: Mapping[int, FileId]
    generation_of_row: Numbers
    chunk_of_row: Numbers
    has_vector: Flags
    matrix: Floats


class StoreIndex:
    """The index in `directory`. One thread writes at a time; any number search.

    After an error of a writing call the index must be opened anew: memory and disk may differ.
    """

    def __init__(self, directory: Path, ann_threshold: int) -> None:
        """Open or create; `ann_threshold` is the number of vectors from which the search for near ones is approximate.

        Raises ValueError or OSError when what is there cannot be read.
        """
        directory.mkdir(parents=True, exist_ok=True)
        # What is in it is in the documents: nobody else on this machine may read it, whatever the umask says.
        directory.chmod(0o700)
        self._directory: Path = directory
        self._path: Path = directory / "manifest.json"
        found = manifest.load(self._path)
        if found is None:
            # Parts without the manifest that explains them are of no use.
            shutil.rmtree(directory / "words", ignore_errors=True)
            self._vector_path.unlink(missing_ok=True)
        self._manifest: Manifest = found or Manifest()
        self._bm25: Bm25Index = Bm25Index(directory / "words")
        self._vectors: Vectors = Vectors(self._vector_path, self._manifest.dimensions, self._manifest.row_count)
        self._ann: AnnGraph = AnnGraph(directory, ann_threshold)
        self.snapshot: Snapshot = self._take_snapshot()

    @property
    def _vector_path(self) -> Path:
        return self._directory / "vectors.f32"

    def repair(self) -> None:
        """Find out which files are really here, whole and in both halves, and forget the others."""
        counts = self._bm25.chunks_by_generation()
        sound = {name: file for name, file in self._manifest.files.items() if self._is_sound(file, counts)}
        known = {file.generation for file in sound.values()}
        if unknown := counts.keys() - known:
            self._bm25.write([], unknown)
        if len(sound) < len(self._manifest.files) or unknown:
            self._manifest.files = sound
            manifest.save(self._path, self._manifest)
        self.snapshot = self._take_snapshot()

    def editions(self) -> dict[FileId, str]:
        """The files that are here."""
        return {FileId(name): file.edition for name, file in self._manifest.files.items()}

    def write(self, put: Sequence[IndexedFile], removed: Collection[FileId]) -> None:
        """Take in files in place of what they had, forget others, all in one commit."""
        before, changed = self._manifest, {file.file_id for file in put} | set(removed)
        gone = [file for name, file in before.files.items() if name in changed]
        kept = {name: file for name, file in before.files.items() if name not in changed}
        was_reset = self._reset_vectors(put)
        if was_reset:
            kept = {name: FileRows(name, file.edition, file.generation, file.runs) for name, file in kept.items()}
        after = Manifest(before.format, before.dimensions, before.row_count, before.next_generation, kept)
        placed = _allocate(put, after, before.free_runs())
        self._vectors = Vectors(self._vector_path, after.dimensions, after.row_count)
        fresh = {file.file_id: self._store_vectors(file, rows) for file, rows in placed}
        kept |= fresh
        self._bm25.write(_documents(placed), [file.generation for file in gone])
        self._manifest = after
        manifest.save(self._path, after)
        self.snapshot = self._take_snapshot() if was_reset else self._update_snapshot(gone, fresh.values())

    def finish_merges(self) -> None:
        """Nothing more is to be written for now: end merges, give memory back."""
        self._bm25.finish_merges()
        _keep_private(self._directory)

    def build_ann_slice(self) -> bool:
        """Do a slice of the approximate index's work; False once there is none left."""
        snapshot = self.snapshot
        return self._ann.add_slice(snapshot.matrix, snapshot.generation_of_row, snapshot.has_vector)

    def close(self) -> None:
        """Keep on disk what would be slow to compute again."""
        self._bm25.finish_merges()
        self._ann.save()
        _keep_private(self._directory)

    def search(self, query: IndexQuery) -> IndexHits:
        """Both halves of the port's `search`."""
        snapshot = self.snapshot
        generations = None if query.files is None else _generations(snapshot, query.files)
        if generations is not None and not generations:
            return IndexHits()
        lexical = self._bm25.search(snapshot.searcher, query.text, generations, query.top_k) if query.text else []
        semantic = self._nearest(snapshot, query.vector, generations, query.top_k) if query.vector else []
        return IndexHits(_hits(snapshot, lexical), _hits(snapshot, semantic))

    def _nearest(
        self, snapshot: Snapshot, vector: bytes, generations: Collection[int] | None, depth: int
    ) -> list[tuple[int, float]]:
        question = np.frombuffer(vector, "<f4")
        if len(question) != snapshot.matrix.shape[1] or not len(snapshot.matrix):
            return []
        wanted = snapshot.has_vector
        if generations is not None:
            allowed = np.zeros(int(snapshot.generation_of_row.max()) + 1, np.bool_)
            allowed[[one for one in generations if one < len(allowed)]] = True
            wanted = wanted & allowed[snapshot.generation_of_row]
        found = self._ann.nearest(snapshot.matrix, snapshot.generation_of_row, question, wanted, depth)
        return nearest(snapshot.matrix, question, wanted, depth) if found is None else found

    def _is_sound(self, file: FileRows, counts: Mapping[int, int]) -> bool:
        if counts.get(file.generation, 0) != file.count:
            return False
        return file.checksum is None or self._vectors.checksum(file.runs) == file.checksum

    def _reset_vectors(self, put: Sequence[IndexedFile]) -> bool:
        """Vectors of another size start the nearness half anew; searches still reading the old file keep it open."""
        sizes = {len(chunk.vector) // 4 for file in put for chunk in file.chunks if chunk.vector}
        if not sizes - {self._manifest.dimensions}:
            return False
        self._manifest.dimensions = max(sizes)
        self._vector_path.unlink(missing_ok=True)
        self._ann.reset()
        return True

    def _store_vectors(self, file: IndexedFile, rows: FileRows) -> FileRows:
        width = self._vectors.dimensions * 4
        vectors = [chunk.vector for chunk in file.chunks if chunk.vector and len(chunk.vector) == width]
        if not vectors or len(vectors) < len(file.chunks):
            return rows
        return FileRows(rows.file_id, rows.edition, rows.generation, rows.runs, self._vectors.write(rows.runs, vectors))

    def _take_snapshot(self) -> Snapshot:
        """The present state."""
        row_count = self._manifest.row_count
        generation_of_row, chunk_of_row, has_vector = (
            np.zeros(row_count, np.int32),
            np.zeros(row_count, np.int32),
            np.zeros(row_count, np.bool_),
        )
        for file in self._manifest.files.values():
            _mark(file, generation_of_row, chunk_of_row, has_vector)
        return self._new_snapshot(generation_of_row, chunk_of_row, has_vector)

    def _update_snapshot(self, gone: Iterable[FileRows], fresh: Iterable[FileRows]) -> Snapshot:
        """The present state, from the last one and what changed since: a store may have ten thousand files."""
        old, more = self.snapshot, self._manifest.row_count - len(self.snapshot.generation_of_row)
        generation_of_row, chunk_of_row, has_vector = (
            np.pad(old.generation_of_row, (0, more)),
            np.pad(old.chunk_of_row, (0, more)),
            np.pad(old.has_vector, (0, more)),
        )
        for file in gone:
            for start, length in file.runs:
                generation_of_row[start : start + length] = 0
                has_vector[start : start + length] = False
        for file in fresh:
            _mark(file, generation_of_row, chunk_of_row, has_vector)
        return self._new_snapshot(generation_of_row, chunk_of_row, has_vector)

    def _new_snapshot(self, generation_of_row: Numbers, chunk_of_row: Numbers, has_vector: Flags) -> Snapshot:
        files = self._manifest.files
        file_of = {file.generation: FileId(name) for name, file in files.items()}
        return Snapshot(
            self._bm25.searcher(),
            files,
            file_of,
            generation_of_row,
            chunk_of_row,
            has_vector,
            np.asarray(self._vectors.matrix),
        )


def _keep_private(directory: Path) -> None:
    """Files are written by libraries that ask nobody for their mode; a merge may remove some meanwhile.

    Until then the directory alone, which is the owner's, guards them: to ask each after each commit would take longer.
    """
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            path.chmod(0o700 if path.is_dir() else 0o600)


def _mark(file: FileRows, generation_of_row: Numbers, chunk_of_row: Numbers, has_vector: Flags) -> None:
    at = 0
    for start, length in file.runs:
        rows = slice(start, start + length)
        generation_of_row[rows], has_vector[rows] = file.generation, file.checksum is not None
        chunk_of_row[rows] = np.arange(at, at + length)
        at += length


def _allocate(
    put: Sequence[IndexedFile], after: Manifest, free: list[tuple[int, int]]
) -> list[tuple[IndexedFile, FileRows]]:
    """Give each file a generation and rows, of the free ones first; those freed by the same write are not yet free."""
    placed: list[tuple[IndexedFile, FileRows]] = []
    for file in put:
        runs, after.row_count = manifest.allocate_rows(free, after.row_count, len(file.chunks))
        placed.append((file, FileRows(file.file_id, file.edition, after.next_generation, runs)))
        after.next_generation += 1
    return placed


def _documents(placed: Sequence[tuple[IndexedFile, FileRows]]) -> Iterator[ChunkDocument]:
    for file, rows in placed:
        for chunk, row in zip(file.chunks, rows.rows(), strict=True):
            yield ChunkDocument(rows.generation, row, chunk.text)


def _generations(snapshot: Snapshot, files: Collection[FileId]) -> list[int]:
    return [snapshot.files[file].generation for file in files if file in snapshot.files]


def _hits(snapshot: Snapshot, scored: Sequence[tuple[int, float]]) -> tuple[Hit, ...]:
    """Rows as chunks of files; a row nobody owns in this snapshot is left out."""
    found: list[Hit] = []
    for row, score in scored:
        generation = int(snapshot.generation_of_row[row]) if row < len(snapshot.generation_of_row) else 0
        if generation:
            found.append(Hit(snapshot.file_of[generation], int(snapshot.chunk_of_row[row]), score))
    return tuple(found)
