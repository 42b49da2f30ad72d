"""One HTML file: its frame, its style and its parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from gsam_ros import __version__

# Plots are drawn in `currentColor`, so they follow the light and the dark scheme as text does.
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --dim: #59636e; --paper: #fcfcfb;
  --raised: #f1f3f4; --line: #d8dde2; --link: #0b63b0; --good: #17713a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --dim: #9aa5b1; --paper: #14171a;
  --raised: #1e2327; --line: #343b42; --link: #74b4f2; --good: #62cc89; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem clamp(1rem, 4vw, 2.5rem) 3rem; max-width: 76rem;
  color: var(--ink); background: var(--paper); font: 1rem/1.55 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.75rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.75rem 0 .5rem; padding-top: .75rem; font-size: 1.25rem;
  border-top: 1px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin: 1rem 0 0; padding: 0;
  list-style: none; }
.lead, figcaption, footer, td.note { color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: baseline;
  border-bottom: 1px solid var(--line); }
th { font-weight: 500; }
thead th { font-size: .85rem; color: var(--dim); }
td.number, th.number { text-align: right; white-space: nowrap; }
td.note { min-width: 11rem; }
td.better { color: var(--good); font-weight: 600; }
td.worse { color: var(--bad); font-weight: 600; }
figure { margin: 1rem 0; }
figcaption { font-size: .9rem; max-width: 46rem; }
svg { display: block; width: 100%; height: auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit !important; }
.wide svg, .wide img { min-width: 40rem; }
img { display: block; max-width: 100%; height: auto; }
.grid { display: grid; gap: 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(max(9rem, min(13rem, 45%)), 1fr)); }
.row { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
.row figure { margin: 0; }
.row img { width: 100%; border-radius: .25rem; background: var(--raised); }
article { margin: 1.5rem 0 2rem; }
article h3 { margin: 0; font-size: 1rem; }
article p { margin: 0 0 .5rem; }
footer { margin-top: 3rem; font-size: .85rem; }
"""


def write_page(
    path: Path, title: str, lead: Sequence[str], sections: Sequence[tuple[str, str]]
) -> None:
    """Write a page.

    Args:
        path: the file.
        title: plain text.
        lead: paragraphs under the title, plain text.
        sections: headings, plain text, and their HTML.
    """
    links = "".join(
        f'<li><a href="#part-{i}">{escape(heading)}</a></li>'
        for i, (heading, _) in enumerate(sections, 1)
    )
    parts = "\n".join(
        f'<section aria-labelledby="part-{i}"><h2 id="part-{i}">{escape(heading)}</h2>\n'
        f"{content}</section>"
        for i, (heading, content) in enumerate(sections, 1)
    )
    told = "".join(f'<p class="lead">{escape(text)}</p>' for text in lead)
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(title)}</h1>{told}\n"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header>\n'
        f"<main>\n{parts}\n</main>\n"
        f"<footer>gsam_ros {escape(__version__)}</footer>\n</body>\n</html>\n",
        errors="replace",  # of names of files that are not UTF-8
        encoding="utf-8",
    )


def paragraph(text: str) -> str:
    """Plain text as a paragraph."""
    return f"<p>{escape(text)}</p>\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], kinds: Sequence[str]) -> str:
    """A table; the first cell of a row is its heading.

    Args:
        head: one heading per column.
        rows: plain text.
        kinds: one per column: "" for words, "number", "note", or "verdict", whose cells are
            coloured where they say "better", "best" or "worse".
    """
    headings = "".join(
        f'<th scope="col"{_class("number" if kind == "number" else "")}>{escape(text)}</th>'
        for text, kind in zip(head, kinds, strict=True)
    )
    body = []
    for first, *others in rows:
        cells = "".join(
            f"<td{_class(_shown_as(text, kind))}>{escape(text)}</td>"
            for text, kind in zip(others, kinds[1:], strict=True)
        )
        body.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>\n')
    return (
        f'<div class="scroll"><table><thead><tr>{headings}</tr></thead>\n'
        f"<tbody>{''.join(body)}</tbody></table></div>\n"
    )


def counted(number: int, noun: str) -> str:
    """1 mistake, 2 mistakes."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def figure(content: str, caption: str = "", wide: bool = False) -> str:
    """A drawing with a caption, plain text; a wide one scrolls on a narrow screen."""
    held = f'<div class="scroll wide">{content}</div>' if wide else content
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{held}{told}</figure>\n"


def picture(source: str, alternative: str) -> str:
    """An embedded image: a data URI, and what it shows in words."""
    return f'<img src="{source}" alt="{escape(alternative)}" loading="lazy">'


def article(heading: str, text: str, pictures: Sequence[tuple[str, str, str]]) -> str:
    """Pictures beside each other where there is room.

    Args:
        heading: plain text.
        text: plain text below it; "" for none.
        pictures: data URI, caption, and what each shows in words.
    """
    shown = "".join(
        figure(picture(source, alternative), caption) for source, caption, alternative in pictures
    )
    told = paragraph(text) if text else ""
    return f'<article><h3>{escape(heading)}</h3>{told}<div class="row">{shown}</div></article>\n'


def _shown_as(text: str, kind: str) -> str:
    if kind == "verdict":
        return {"best": "better"}.get(text, text) if text in ("better", "best", "worse") else "note"
    return kind


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
