"""A multipart upload, streamed: the file's bytes go to a blob as they come, whatever the order of the form's fields."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

from multipart import (  # pyright: ignore[reportMissingTypeStubs] - annotated, without stubs
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,  # pyright: ignore[reportUnknownVariableType]
)
from starlette.requests import Request

from threadmill.api.filenames import filename_of
from threadmill.api.http import BodyTooLarge
from threadmill.domain.error import InvalidRequest
from threadmill.domain.file import MAX_FILE_BYTES
from threadmill.engine.ports.blobs import BlobWriter


@dataclass(frozen=True, slots=True)
class FormFile:
    """The one file of a form: its field's name, and its bytes at most."""

    name: str = "file"
    most: int = MAX_FILE_BYTES


MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 32
MULTIPART_OVERHEAD = 1024 * 1024
"""What an upload may be larger than its file: fields, headers, boundaries."""


@dataclass(slots=True)
class UploadForm:
    """The form so far. `filename` is None until the file came."""

    filename: str | None = None
    fields: dict[str, str] = field(default_factory=dict[str, str])


FILE = FormFile()


async def read_upload(request: Request, writer: BlobWriter, file: FormFile = FILE) -> UploadForm:
    """Read the form of the request; the bytes of its file go to `writer`. Raises InvalidRequest, BodyTooLarge, Unavailable."""
    reader = _FormReader(writer, file)
    try:
        with _parser(request) as parser:
            async for chunk in _bounded(request, file):
                for event in parser.parse(chunk):
                    await reader.handle(event)
    except MultipartError as error:
        raise InvalidRequest(f"We could not parse the multipart body of your request: {error}.") from None
    return reader.form


def _parser(request: Request) -> PushMultipartParser:
    header = request.headers.get("content-type", "")
    kind, options = cast("tuple[str, dict[str, str]]", parse_options_header(header))
    if kind != "multipart/form-data" or not options.get("boundary"):
        text = "This endpoint takes an upload: send the file as multipart/form-data, with its boundary in Content-Type."
        raise InvalidRequest(text)
    return PushMultipartParser(options["boundary"], max_segment_count=MAX_FIELDS)


async def _bounded(request: Request, file: FormFile) -> AsyncIterator[bytes]:
    left = file.most + MULTIPART_OVERHEAD
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > left:
        raise _too_large(file)
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise _too_large(file)
        if chunk:  # an empty one would end the parser
            yield chunk


def _too_large(file: FormFile) -> BodyTooLarge:
    return BodyTooLarge(f"The {file.name} is too large. The maximum is {file.most // 2**20} MB.", code="file_too_large")


class _FormReader:
    """Takes the parser's events: a part's head, its bytes, its end (None)."""

    def __init__(self, writer: BlobWriter, file: FormFile) -> None:
        self.form: UploadForm = UploadForm()
        self._file: FormFile = file
        self._writer: BlobWriter = writer
        self._field: str | None = None
        self._text: bytearray = bytearray()
        self._size: int = 0

    async def handle(self, event: "MultipartSegment | bytes | bytearray | None") -> None:
        """One event."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._field is None:
            self._size += len(event)
            if self._size > self._file.most:
                raise _too_large(self._file)
            await self._writer.write(bytes(event))
        else:
            self._text += event
            if len(self._text) > MAX_FIELD_BYTES:
                raise InvalidRequest(f"The form field '{self._field}' is too long.", param=self._field)

    def _begin(self, part: MultipartSegment) -> None:
        filename = filename_of(dict(part.headerlist).get("Content-Disposition", ""), part.filename)
        if part.name != self._file.name or filename is None:
            self._field, self._text = part.name, bytearray()
            return
        if self.form.filename is not None:
            raise InvalidRequest("Send one file in a request.", param=self._file.name)
        self._field, self.form.filename = None, filename

    def _end(self) -> None:
        if self._field is None:
            return
        try:
            self.form.fields[self._field] = self._text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"The form field '{self._field}' is not UTF-8.", param=self._field) from None
