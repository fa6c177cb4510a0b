"""Lists that page by themselves."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from threadmill.cli.resources.command_spec import Command, Json
from threadmill.cli.resources.error import CliError, ExitCode
from threadmill.cli.resources.request import Request
from threadmill.cli.resources.transport import Client

MAX_PAGE = 100


@dataclass(slots=True)
class Pages:
    """A list, page after page. `max_items` is --max-items: None is not given, -1 is all.

    Without --max-items a list given --limit is one page of that many, as the API means it; else all pages are read.
    """

    client: Client
    command: Command
    request: Request
    max_items: int | None

    def items(self) -> Iterator[dict[str, Json]]:
        """Objects as they come. Raises CliError."""
        for page in self._pages():
            yield from _objects(page)

    def whole(self) -> dict[str, Json]:
        """One list object with what all pages have, in the shape of the API's own. Raises CliError."""
        pages = list(self._pages())
        data: list[Json] = [item for page in pages for item in _objects(page)]
        if len(pages) == 1:
            return pages[0]
        whole: dict[str, Json] = {**pages[0], "data": data, "has_more": pages[-1].get("has_more", False)}
        if "last_id" in whole:
            whole["last_id"] = pages[-1].get("last_id")
        return whole

    def _pages(self) -> Iterator[dict[str, Json]]:
        left = self.max_items if self.max_items is not None and self.max_items >= 0 else None
        one_page = self.command.response_kind == "list" or (
            self.max_items is None and self.request.get_query("limit") is not None
        )
        request = self._sized(left)
        while True:
            page = _list(self.client.send(request, beta=self.command.beta).read())
            kept = page if left is None else _truncate(page, left)
            yield kept
            left = None if left is None else left - len(_objects(kept))
            last = page.get("last_id")
            if one_page or left == 0 or not page.get("has_more") or not isinstance(last, str):
                return
            request = request.with_query(after=last)

    def _sized(self, left: int | None) -> Request:
        """Large pages unless --limit says otherwise; no larger than what is wanted."""
        if self.command.response_kind != "pages" or self.request.get_query("limit") is not None:
            return self.request
        return self.request.with_query(limit=str(min(max(left, 1), MAX_PAGE) if left is not None else MAX_PAGE))


def _list(body: bytes) -> dict[str, Json]:
    try:
        found: Json = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise CliError("The server's answer is no list.", ExitCode.SERVER, "Check --base-url; it usually ends in /v1.")
    return found


def _objects(page: dict[str, Json]) -> list[dict[str, Json]]:
    data = page.get("data")
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def _truncate(page: dict[str, Json], limit: int) -> dict[str, Json]:
    """The page's first objects, with its cursors and has_more true of them."""
    data = _objects(page)
    if len(data) <= limit:
        return page
    kept: list[Json] = [*data[:limit]]
    short: dict[str, Json] = {**page, "data": kept}
    if "has_more" in page:
        ends = (data[0].get("id"), data[limit - 1].get("id")) if limit else (None, None)
        short |= {"first_id": ends[0], "last_id": ends[1], "has_more": True}
    return short
