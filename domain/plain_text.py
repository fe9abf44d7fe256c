"""Plain text of HTML: what an e-mail says to whoever sees no HTML, links written out."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"address", "article", "blockquote", "br", "div", "dl", "form", "header", "footer", "hr", "li", "tr"}
)
_SPACED = frozenset(
    {"h1", "h2", "h3", "h4", "h5", "h6", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"}
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_GAPS = re.compile(r"\n{3,}")


class _Reader(HTMLParser):
    """Collects text, and the links it passes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.links: list[str] = []
        self._silent = 0
        self._open: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        for name in ("href", "src", "action"):
            if name in named:
                self.links.append(named[name] or "")
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS or tag in _SPACED:
            self.parts.append("\n- " if tag == "li" else "\n")
        if tag == "a" and named.get("href"):
            self._open.append((named["href"] or "", len(self.parts)))
        if tag == "img" and named.get("alt"):
            self.parts.append(str(named["alt"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        elif tag in _SPACED:
            self.parts.append("\n")
        if tag == "a" and self._open:
            link, since = self._open.pop()
            said = "".join(self.parts[since:]).strip()
            if said != link:
                self.parts.append(f" ({link})" if said else link)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data.replace("\n", " "))


def of_html(html: str) -> str:
    """Return the text of some HTML: a line for each block, links after their words in brackets."""
    reader = _read(html)
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(reader.parts).split("\n"))
    return _GAPS.sub("\n\n", "\n".join(lines)).strip()


def links_of_html(html: str) -> tuple[str, ...]:
    """Return every address some HTML refers to, in its order."""
    return tuple(_read(html).links)


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader
