"""What the tests ask of a page: that it is sound, complete in itself, and what it shows."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

_VOID = {"meta", "img"}


class Page(HTMLParser):
    """A parsed page; refuses tags that don't close in order.

    Attributes:
        pictures: alternative texts of the images.
        drawings: labels of the inline SVGs.
        headings: texts of h1, h2 and h3.
        cells: texts of table cells.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.pictures: list[str] = []
        self.drawings: list[str] = []
        self.headings: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self._ids: list[str] = []
        self._targets: set[str] = set()
        self.feed(self.source)
        self.close()
        assert not self._open, f"{self._open} stay open"
        assert len(self._ids) == len(set(self._ids)), "an id is there twice"
        assert self._targets <= set(self._ids), "a link leads nowhere"
        for outside in ("http:", "https:", "//cdn", "<script", "<link", "@import"):
            assert outside not in self.source

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if identity := given.get("id"):
            self._ids.append(identity)
        for name in ("href", "xlink:href"):
            if target := given.get(name):
                assert target.startswith("#"), target
                self._targets.add(target[1:])
        if tag == "img":
            assert (given["src"] or "").startswith("data:image/")
            self.pictures.append(given["alt"] or "")
        if tag == "svg":
            assert given["role"] == "img"
            self.drawings.append(given["aria-label"] or "")
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"h1", "h2", "h3"} & set(self._open[-1:]):
            self.headings[-1] += data
        if {"td", "th"} & set(self._open[-1:]):
            self.cells[-1] += data
