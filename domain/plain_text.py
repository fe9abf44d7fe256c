"""Plain text of HTML: what an e-mail says to whoever sees no HTML, links written out.

The reader is our own: the standard library's takes the square of the length of what has no end, seconds for an e-mail.
"""

import html
import re
from collections.abc import Iterator

_BLOCKS = frozenset(
    {"address", "article", "blockquote", "br", "div", "dl", "form", "header", "footer", "hr", "li", "tr"}
)
_SPACED = frozenset(
    {"h1", "h2", "h3", "h4", "h5", "h6", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul"}
)
_SILENT = frozenset({"script", "style", "head", "title", "template"})
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_GAPS = re.compile(r"\n{3,}")


_RAW = frozenset({"script", "style"})
"""Elements whose content is no HTML."""
_NAME = re.compile(r"/?[a-zA-Z][^\s/>]*")
_QUOTE_OR_END = re.compile("[>\"']")
_ATTRIBUTE = re.compile(r"([^\s\"'>/=]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?")


class _Reader:
    """Collects text, and the links it passes."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.links: list[str] = []
        self._silent = 0
        self._open: list[tuple[str, int]] = []

    def feed(self, source: str) -> None:
        """Read HTML; every character is looked at a bounded number of times."""
        for said, tag, attributes in _pieces(source):
            if said:
                self.handle_data(html.unescape(said))
            if tag.startswith("/"):
                self.handle_endtag(tag[1:])
            elif tag:
                self.handle_starttag(tag, dict(_attributes(attributes)))

    def handle_starttag(self, tag: str, named: dict[str, str]) -> None:
        for name in ("href", "src", "action"):
            if name in named:
                self.links.append(named[name] or "")
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS or tag in _SPACED:
            self.parts.append("\n- " if tag == "li" else "\n")
        if tag == "a" and named.get("href"):
            # A link within a link ends the outer one, for every client.
            self._open = [(named["href"], len(self.parts))]
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


def of_html(source: str) -> str:
    """Return the text of some HTML: a line for each block, links after their words in brackets."""
    reader = _read(source)
    lines = (_BLANKS.sub(" ", line).strip() for line in "".join(reader.parts).split("\n"))
    return _GAPS.sub("\n\n", "\n".join(lines)).strip()


def links_of_html(source: str) -> tuple[str, ...]:
    """Return every address some HTML refers to, in its order."""
    return tuple(_read(source).links)


def _read(source: str) -> _Reader:
    reader = _Reader()
    reader.feed(source)
    return reader


def _pieces(source: str) -> Iterator[tuple[str, str, str]]:
    """Yield the text up to each tag, the tag's name and its attributes; nothing of a tag behind the last."""
    at, folded = 0, source.lower()
    while (start := source.find("<", at)) >= 0:
        named = _NAME.match(source, start + 1)
        if named is not None:
            end = _end_of_tag(source, named.end())
            if end < 0:
                break
            tag = named[0].lower()
            yield source[at:start], tag, source[named.end() : end]
            at = end + 1
            if tag in _RAW:
                closing = folded.find(f"</{tag}", at)
                at = closing if closing >= 0 else len(source)
        elif source.startswith("<!--", start):
            end = source.find("-->", start)
            yield source[at:start], "", ""
            at = end + 3 if end >= 0 else len(source)
        else:
            is_declaration = source.startswith(("<!", "<?", "</"), start)
            end = source.find(">", start) if is_declaration else start
            yield source[at : start if is_declaration else start + 1], "", ""
            at = end + 1 if end >= 0 else len(source)
    # A tag without an end is none that anybody sees.
    yield source[at : start if start >= 0 else len(source)], "", ""


def _end_of_tag(source: str, at: int) -> int:
    """Return where a tag ends, -1 if nowhere; an end within quotes is none."""
    while (found := _QUOTE_OR_END.search(source, at)) is not None:
        if found[0] == ">":
            return found.start()
        closing = source.find(found[0], found.end())
        if closing < 0:
            return source.find(">", found.end())
        at = closing + 1
    return -1


def _attributes(inside: str) -> Iterator[tuple[str, str]]:
    for found in _ATTRIBUTE.finditer(inside):
        value = found[2] or ""
        bare = value[1:-1] if value[:1] in {'"', "'"} else value
        # A client leaves controls out before it looks at a scheme.
        yield found[1].lower(), "".join(each for each in html.unescape(bare) if each >= " ").strip()
