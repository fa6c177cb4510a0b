"""Step 2d of a replay: uploads. Their bodies are not recorded, so forms and bytes are made up from what was shown of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp

from tools.replay.recording import Exchange, Json, JsonObject, Recording, as_list, as_number, as_object, walk

MOST_BYTES = 64 * 1024 * 1024
"""Longest file that is made up; a longer one shows as a difference in `bytes`."""

_BOUNDARY = re.compile(r"--([^\r\n]+)\r?\n")


@dataclass(frozen=True, slots=True)
class Form:
    """A body to be sent, and its type where aiohttp does not know it."""

    data: "bytes | aiohttp.FormData"
    kind: str = ""


class Uploads:
    """Makes the forms of one recording's uploads. `bytes` are as recorded; the text as far as anything shows it."""

    def __init__(self, recording: Recording) -> None:
        self._texts: dict[str, list[str]] = {}
        self._wholes: dict[str, Json] = {}
        for exchange in recording.exchanges:
            self._note(exchange)

    @staticmethod
    def is_upload(exchange: Exchange) -> bool:
        """Whether a request carries a form."""
        match exchange.method, exchange.segments:
            case "POST", ("files",) | ("uploads", _, "parts"):
                return True
            case _:
                return False

    def of(self, exchange: Exchange) -> Form:
        """The form: as it was sent if that was recorded, else what the answer shows of it."""
        if isinstance(exchange.asked, str) and (found := _BOUNDARY.match(exchange.asked)):
            return Form(exchange.asked.encode(errors="surrogatepass"), f"multipart/form-data; boundary={found[1]}")
        form = _form()
        if exchange.segments[0] == "uploads":
            form.add_field("data", b"x", filename="data")
            return Form(form)
        self._fill(form, exchange)
        return Form(form)

    def like(self, file: JsonObject) -> Form:
        """A form that makes a file like the one shown."""
        form = _form()
        form.add_field("purpose", str(file.get("purpose") or "assistants"))
        form.add_field("file", self.content(file), filename=str(file.get("filename") or "file.txt"))
        return Form(form)

    def _fill(self, form: aiohttp.FormData, exchange: Exchange) -> None:
        asked, shown = as_object(exchange.asked), as_object(exchange.body)
        missing = _missing(shown)
        purpose = asked.get("purpose") or shown.get("purpose") or _refused_purpose(shown)
        if missing != "purpose":
            form.add_field("purpose", str(purpose))
        for name, value in _expiry(asked, shown):
            form.add_field(f"expires_after[{name}]", value)
        if missing != "file":
            name = str(asked.get("filename") or shown.get("filename") or "file.txt")
            given = asked.get("file")
            content = given.encode(errors="surrogatepass") if isinstance(given, str) else self.content(shown)
            form.add_field("file", content, filename=name, content_type="application/octet-stream")

    def content(self, file: JsonObject) -> bytes:
        """Bytes for a file: what was downloaded or found in it, else as many as it had."""
        size = min(int(as_number(file.get("bytes")) or 1), MOST_BYTES)
        name = str(file.get("id"))
        for whole in _spellings(self._wholes.get(name)):
            if len(whole) == size:
                return whole
        found = "\n".join(self._texts.get(name, ())).encode(errors="surrogatepass")
        return found + b" " * (size - len(found)) if found else b"x" * size

    def _note(self, exchange: Exchange) -> None:
        match exchange.method, exchange.segments:
            case "GET", ("files", file_id, "content") if exchange.succeeded:
                self._wholes.setdefault(file_id, exchange.body)
            case "GET", ("vector_stores", _, "files", file_id, "content") if exchange.succeeded:
                self._note_text(file_id, as_list(as_object(exchange.body).get("data")))
            case _:
                for answer in exchange.answers():
                    for said in walk(answer):
                        if isinstance(said.get("file_id"), str):
                            self._note_text(said["file_id"], as_list(said.get("content")))

    def _note_text(self, file_id: str, content: list[Json]) -> None:
        known = self._texts.setdefault(file_id, [])
        texts = [as_object(part).get("text") for part in content]
        known += [text for text in dict.fromkeys(texts) if isinstance(text, str) and text not in known]


def _form() -> aiohttp.FormData:
    return aiohttp.FormData(quote_fields=False)  # a name such as text/csv goes as it is


def _spellings(body: Json) -> Iterator[bytes]:
    """What a downloaded body may have been before a recorder decoded it."""
    if isinstance(body, str):
        yield body.encode(errors="surrogatepass")
    elif body is not None:
        for indent, separators in ((None, (",", ":")), (None, (", ", ": ")), (2, None), (4, None)):
            text = json.dumps(body, ensure_ascii=False, indent=indent, separators=separators)
            yield text.encode(errors="surrogatepass")
            yield f"{text}\n".encode(errors="surrogatepass")


def _expiry(asked: JsonObject, shown: JsonObject) -> Iterator[tuple[str, str]]:
    wanted = as_object(asked.get("expires_after"))
    born, dies = as_number(shown.get("created_at")), as_number(shown.get("expires_at"))
    if wanted:
        yield from ((name, str(value)) for name, value in wanted.items())
    elif born is not None and dies is not None:
        yield "anchor", "created_at"
        yield "seconds", str(int(dies - born))


def _missing(body: JsonObject) -> str:
    """The parameter an upload was refused for not having."""
    error = as_object(body.get("error"))
    return str(error.get("param")) if str(error.get("message")).startswith("Missing required parameter") else ""


def _refused_purpose(body: JsonObject) -> str:
    found = re.match(r"'([^']*)' is not one of", str(as_object(body.get("error")).get("message") or ""))
    return found[1] if found else "assistants"
