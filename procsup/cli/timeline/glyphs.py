"""The marks of the chart: how each looks, what the legend says of it, and which of several at one place is shown."""

from typing import NamedTuple


class Glyph(NamedTuple):
    """`shape` is SVG around 0,0, about 12 pixels wide."""

    kind: str
    legend: str
    shape: str


_RED, _ORANGE, _DARK, _GREY, _PURPLE = "#c1121f", "#e36414", "#5f0f40", "#6c757d", "#7b2cbf"


def _disc(fill: str, inside: str) -> str:
    return f'<circle r="6.5" fill="{fill}"/><path d="{inside}" stroke="#fff" stroke-width="1.8" fill="none"/>'


GLYPHS = (
    Glyph("gave_up", "gave up", f'<path d="M0-8.5L8.5 0L0 8.5L-8.5 0Z" fill="{_DARK}"/>'
          '<path d="M0-4.5V1M0 2.6V4.6" stroke="#fff" stroke-width="1.8"/>'),
    Glyph("crash", "crashed", _disc(_RED, "M-2.8-2.8L2.8 2.8M2.8-2.8L-2.8 2.8")),
    Glyph("start_failed", "could not start", f'<path d="M0 7L-7-5.5H7Z" fill="{_RED}"/>'
          '<path d="M0-3.6V.6M0 2V3.8" stroke="#fff" stroke-width="1.6"/>'),
    Glyph("escalated", "learned that a child gave up", f'<path d="M0-7.5L7 5.5H-7Z" fill="{_PURPLE}"/>'),
    Glyph("auto_shutdown", "shut itself down", f'<path d="M0 7.5L7-5.5H-7Z" fill="{_PURPLE}"/>'),
    Glyph("restart", "restarted a child", _disc(_ORANGE, "M2.6 2.4A3.5 3.5 0 1 1 2.2-2.7")
          + '<path d="M4.6-4.4V-.4H.6Z" fill="#fff"/>'),
    Glyph("link_fired", "a link fired", _disc(_PURPLE, "M-3.5 0H3.5M-1-2.5V2.5M1-2.5V2.5")),
    Glyph("killed", "killed after its shutdown time", f'<rect x="-5.5" y="-5.5" width="11" height="11" fill="{_DARK}"/>'
          '<path d="M-2.5-2.5L2.5 2.5M2.5-2.5L-2.5 2.5" stroke="#fff" stroke-width="1.6"/>'),
    Glyph("removed", "taken out of the tree", _disc(_GREY, "M-3.5 0H3.5")),
    Glyph("added", "added to the tree", _disc(_GREY, "M-3.5 0H3.5M0-3.5V3.5")),
    Glyph("stopped", "stopped, as asked", f'<rect x="-4.5" y="-4.5" width="9" height="9" fill="{_GREY}"/>'),
    Glyph("normal", "ended normally", '<circle r="5" fill="#fff" stroke="#2a7f76" stroke-width="2"/>'),
)  # fmt: skip
"""The first one counts, where several are at one place."""

OTHER = Glyph("other", "another event", f'<circle r="4" fill="#fff" stroke="{_GREY}" stroke-width="2"/>')

_BY_KIND = {glyph.kind: glyph for glyph in GLYPHS}
_RANKS = {glyph.kind: rank for rank, glyph in enumerate(GLYPHS)}


def glyph_of(kind: str) -> Glyph:
    return _BY_KIND.get(kind, OTHER)


def rank_of(kind: str) -> int:
    return _RANKS.get(kind, len(GLYPHS))
