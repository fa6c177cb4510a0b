"""HTML to text, as a reader sees it: lxml, without network, entities or scripts. Runs in the fenced process."""

import re
from typing import Any

from lxml import etree

from threadmill.adapters.extract.errors import TextBuffer, UnreadableFile
from threadmill.adapters.extract.plain import decoded

_UNSEEN = frozenset("script style noscript template svg math iframe object select datalist".split())  # noqa: SIM905 - a list to read
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hgroup hr li main menu nav ol p pre section summary table tbody tfoot thead
    title tr ul br option legend""".split()  # noqa: SIM905 - a list to read
)
_CELLS = frozenset({"td", "th"})
_APART = frozenset({"a", "button", "label", "img", "input", "summary", "textarea"})
"""Links, buttons and the like stand apart on a page even where nothing is between them."""

# Says an encoding the text no longer has.
_XML_HEAD = re.compile(r"^\s*<\?xml[^>]*\?>")
_SPACE = re.compile(r"[ \t\r\n\f]+")


def read_html(data: memoryview, out: TextBuffer) -> None:
    """Title and body, blocks on lines of their own, cells between tabs, `pre` as written. Raises UnreadableFile."""
    text = decoded(data, out)
    out.notes.format = "HTML"
    # Huge: pages nest deeper than 256 (up to 2,048 are read), and memory is bounded by the fence.
    parser: Any = etree.HTMLParser(
        no_network=True, remove_comments=True, remove_pis=True, encoding="utf-8", huge_tree=True
    )
    try:
        root: Any = etree.fromstring(_XML_HEAD.sub("", text, count=1).encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        raise UnreadableFile("The file is not HTML that can be read.")
    _Page(out).read(root)


class _Page:
    """Walks a page. Spaces run together, and at most one empty line stays between two blocks."""

    def __init__(self, out: TextBuffer) -> None:
        self._out: TextBuffer = out
        self._line: list[str] = []
        self._stands_apart: bool = False
        self._preformatted: int = 0

    def read(self, root: Any) -> None:
        unseen = 0
        walk: Any = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            tag = element.tag if isinstance(element.tag, str) else ""
            if event == "start":
                unseen += tag in _UNSEEN
                if not unseen:
                    self._open(tag, element)
            else:
                if not unseen:
                    self._close(tag)
                unseen -= tag in _UNSEEN
                if not unseen and element.tail and element is not root:
                    self._say(element.tail)
        self._break()

    def _open(self, tag: str, element: Any) -> None:
        if tag in _BLOCKS:
            self._break()
        if tag in _APART and self._stands_apart:
            self._line.append(" ")
            self._stands_apart = False
        if tag == "li":
            self._line.append("- ")
        if tag == "img":
            self._say(element.get("alt") or "")
        if tag == "input" and element.get("type") in ("submit", "button", "reset", "text", None):
            self._say(element.get("value") or element.get("placeholder") or "")
        self._preformatted += tag in ("pre", "textarea")
        self._say(element.text or "")

    def _close(self, tag: str) -> None:
        self._preformatted -= tag in ("pre", "textarea")
        if tag in _CELLS:
            self._line.append("\t")
        self._stands_apart = tag in _APART or (self._stands_apart and tag not in _BLOCKS)
        if tag in _BLOCKS:
            self._break()

    def _say(self, text: str) -> None:
        if text:
            self._stands_apart = False
            self._line.append(text if self._preformatted else _SPACE.sub(" ", text))

    def _break(self) -> None:
        whole = "".join(self._line)
        self._line.clear()
        tidy = whole.strip("\n") if self._preformatted or "\n" in whole else re.sub(" {2,}", " ", whole).strip()
        if tidy.strip():
            self._out.add(f"{tidy}\n")
