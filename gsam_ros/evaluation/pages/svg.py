"""Matplotlib figures as part of a page: SVG whose ink is that of the text around it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SERIES = ("#4e8ac8", "#e8873a", "#52a05a", "#d9605f", "#a878c0", "#4fb0ad", "#b58a5f", "#8a93a0")
"""Colours that can be told apart on light and on dark paper."""

_INK = "#010203"  # stands for the text's colour; nothing else is drawn in it
_LARGEST_SVG = 600_000  # characters; above that pixels are smaller

_STYLE: dict[Any, Any] = {  # typed by matplotlib as one literal per setting
    **{
        f"{part}color": _INK
        for part in ("text.", "axes.edge", "axes.label", "axes.title", "xtick.", "ytick.")
    },
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "font.size": 9.0,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "gsam_ros",  # the same figures give the same file
}


@contextmanager
def drawing_style() -> Iterator[None]:
    """Figures that are made here can be embedded by `as_svg`."""
    with mpl.rc_context(_STYLE):
        yield


def as_svg(figure: Figure, name: str, alternative: str) -> str:
    """A figure as an inline SVG element, or as an embedded PNG where that is smaller.

    Args:
        figure: made and passed here within `drawing_style`.
        name: of this drawing among those of the page; keeps ids apart.
        alternative: what it shows, in words.
    """
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    svg = text.getvalue()
    if len(svg) > _LARGEST_SVG:
        return _as_png(figure, alternative)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    if box is None:
        raise RuntimeError("matplotlib wrote an SVG without a viewBox")
    opening = f'<svg {box.group()} role="img" aria-label="{escape(alternative)}">'
    svg = re.sub(r"<svg\b.*?>", lambda _: opening, svg, count=1, flags=re.DOTALL)
    return svg.replace(_INK, "currentColor").strip()


def _as_png(figure: Figure, alternative: str) -> str:
    """On white, since pixels can't follow the scheme."""
    data = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(data, format="png", dpi=110, facecolor="white")
    source = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<img src="data:image/png;base64,{source}" alt="{escape(alternative)}">'
