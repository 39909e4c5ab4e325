"""The chart as one SVG: a line for each child, its lives as bars, what happened as marks, causes as arrows.

It explains itself and needs nothing else: no script, no font, no other file. Every bar, mark and arrow has a tool tip.
What is too close to be told apart is drawn once, with its number, and listed in the tool tip; what is quiet is left out
when there are too many lines, and counted. Every word of an event is escaped: for XML, and what does not print.

Pure: a chart in, text out.
"""

import html
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice, pairwise, zip_longest
from typing import NamedTuple

from procsup.cli.printable import cut, printable
from procsup.cli.timeline.chart import Arrow, Chart, Lane, Life, Mark
from procsup.cli.timeline.glyphs import GLYPHS, OTHER, Glyph, glyph_of, rank_of
from procsup.cli.timeline.scale import Break, Scale, clock, scale_of
from procsup.cli.units import about

_WIDTH = 1280
_LEFT, _RIGHT = 236, 1200
"""Of the axis; what ends at its end has some room beyond."""

_EDGE = 1256

_LEGEND_TOP, _LEGEND_ROW = 78, 22
_NAME_COLUMNS = 30
_MOST_LANES = 200
_TOGETHER, _CROWDED = 9.0, 24.0
"""Pixels: marks that are closer would cover each other; and the same, where there are more than _CROWD in a line."""

_CROWD = 40
_MANY_ARROWS = 200
"""So many are drawn paler."""

_SHORT = 3.0
"""Pixels, of a life and the time to the next one: a row of such lives is one bar."""

_MOST_TOLD = 8
"""Lines of a tool tip."""

_MOST_ARROWS = 3000

_STYLE = (
    "text{font:12px system-ui,'Segoe UI',Roboto,'Liberation Sans','DejaVu Sans',sans-serif;fill:#212529}"
    ".title{font-size:20px;font-weight:600}.aside{fill:#6c757d}.small{font-size:11px}.supervisor{font-weight:600}"
    ".count{font-size:10px;font-weight:600}.note{font-size:10px;font-weight:400;fill:#495057}"
    ".up{fill:#2a9d8f}.supervisor .up{fill:#8fa3b8}.starting{fill:#b9e2dc}.stopping{fill:#f0c36a}"
    ".many{fill:url(#many)}.held{stroke:#6c757d;stroke-width:2;stroke-dasharray:2 4}"
    ".arrow{fill:none;stroke:#8d99ae;stroke-width:1.1;opacity:.75}.strong{stroke:#c1121f;stroke-width:1.5;opacity:.85}"
    ".pale .arrow{opacity:.3;stroke-width:.8}.pale .strong{opacity:.7}.arrow:hover{stroke-width:3;opacity:1}"
    ".grid{stroke:#e3e7eb}.quiet{fill:#f1f3f5}.tear{stroke:#adb5bd;fill:none}.away{fill:#dee2e6;opacity:.8}"
    ".end{stroke:#5f0f40;stroke-width:1.5;stroke-dasharray:5 3}"
)


def svg_of(chart: Chart) -> str:
    """A whole file, ASCII but for names and words."""
    if not chart.lanes:
        return _document(150, [_heading(chart), _text(24, 110, "Nothing has happened that could be shown.", "aside")])
    lanes = _worth_showing(chart.lanes)
    return "".join(_drawing(chart, lanes))


def summary(chart: Chart) -> str:
    """What the chart is of, in one line."""
    crashes = chart.count("crash", "start_failed")
    parts = [
        _number(sum(lane.type == "worker" for lane in chart.lanes), "worker"),
        f"{crashes} crash" if crashes == 1 else f"{crashes} crashes",
        _number(chart.count("restart"), "restart"),
        _number(chart.count("gave_up"), "give-up"),
    ]
    begin, end = _day(chart.begin), _day(chart.end)
    end = end[11:] if end[:10] == begin[:10] else end
    return f"{begin} to {end} ({about(chart.end - chart.begin)}): {', '.join(parts)}"


def _drawing(chart: Chart, lanes: Sequence[Lane]) -> Iterator[str]:
    height = 28 if len(lanes) <= 40 else 22
    scale = _scale(chart, lanes)
    legend = _legend(chart, lanes, scale)
    top = _LEGEND_TOP + _LEGEND_ROW * len(legend) + (44 if scale.breaks else 28)
    middles = {lane.path: top + height * (number + 0.5) for number, lane in enumerate(lanes)}
    bottom = top + height * len(lanes)
    parts = [
        _heading(chart),
        *_entries(legend),
        *_grid(scale, top, bottom),
        *_absences(chart, scale, top, bottom),
        *(part for lane in lanes for part in _lane(lane, lanes, scale, middles[lane.path])),
        *_arrows(chart.arrows, scale, middles),
        *(part for lane in lanes for part in _marks(lane, scale, middles[lane.path])),
        *_notes(chart, lanes, scale, top, bottom),
    ]
    yield _document(bottom + 50, parts)


def _scale(chart: Chart, lanes: Iterable[Lane]) -> Scale:
    lives = [life for lane in lanes for life in lane.lives]
    marks = (mark.time for lane in lanes for mark in lane.marks)
    holds = (time for lane in lanes for hold in lane.holds for time in hold)
    ends = (time for life in lives for time in (life.begin, life.end, life.up, life.stopping) if time is not None)
    inside = (time for time in (*marks, *holds, *ends) if chart.begin <= time <= chart.end)
    workers = [(life.begin, life.end) for lane in lanes if lane.type == "worker" for life in lane.lives]
    return scale_of([chart.begin, chart.end, *inside], workers, _LEFT, _RIGHT)


def _worth_showing(lanes: Sequence[Lane]) -> list[Lane]:
    """All, or those with trouble and those above them; of too many the first ones."""
    if len(lanes) <= _MOST_LANES:
        return list(lanes)
    wanted = {path for lane in lanes if lane.has_trouble for path in _upwards(lane.path)}
    return [lane for lane in lanes if lane.path in wanted][:_MOST_LANES] or list(lanes[:_MOST_LANES])


def _upwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


# Around the lanes


def _document(height: float, parts: Iterable[str]) -> str:
    symbols = "".join(f'<g id="{glyph.kind}">{glyph.shape}</g>' for glyph in (*GLYPHS, OTHER))
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
        f' markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8Z" fill="{fill}"/></marker>'
        for name, fill in (("head", "#8d99ae"), ("strong-head", "#c1121f"))
    )
    many = (
        '<pattern id="many" width="4" height="4" patternUnits="userSpaceOnUse"><path d="M1 0V4" stroke="#2a9d8f"'
        ' stroke-width="2"/><path d="M3 0V4" stroke="#b9e2dc" stroke-width="2"/></pattern>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {_WIDTH} {height:.0f}"><style>{_STYLE}</style><defs>{heads}{many}{symbols}</defs>'
        f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _heading(chart: Chart) -> str:
    root = chart.lanes[0].path.partition("/")[0] if chart.lanes else ""
    title = _text(24, 36, f"Timeline of {cut(printable(root), 60)}" if root else "Timeline", "title")
    return title + (_text(24, 58, summary(chart), "aside") if chart.lanes else "")


def _legend(chart: Chart, lanes: Sequence[Lane], scale: Scale) -> list[list[tuple[str, str]]]:
    """Rows of (picture, words), of what there is to be seen."""
    kinds = {mark.kind for lane in lanes for mark in lane.marks}
    known = [glyph for glyph in GLYPHS if glyph.kind in kinds]
    others = [OTHER] if kinds - {glyph.kind for glyph in GLYPHS} else []
    entries = [
        ('<rect class="up" x="-11" y="-5" width="22" height="10" rx="2"/>', "a worker lives"),
        ('<rect class="starting" x="-11" y="-5" width="22" height="10" rx="2"/>', "it starts"),
        ('<rect class="stopping" x="-11" y="-5" width="22" height="10" rx="2"/>', "it is being stopped"),
        *((_use(glyph), glyph.legend) for glyph in (*known, *others)),
    ]
    if any(lane.holds for lane in lanes):
        entries.append(('<path class="held" d="M-11 0H11"/>', "held down by an operator"))
    if scale.breaks:
        entries.append(
            (f'<rect class="quiet" x="-11" y="-8" width="22" height="16"/>{_tear(-7, -8, 8)}', "quiet time, cut out")
        )
    if not all(arrow.is_strong for arrow in chart.arrows):
        entries.append(('<path class="arrow" d="M-11 0H10" marker-end="url(#head)"/>', "led to"))
    if any(arrow.is_strong for arrow in chart.arrows):
        strong = '<path class="arrow strong" d="M-11 0H10" marker-end="url(#strong-head)"/>'
        entries.append((strong, "led to, by giving up or a link"))
    rows: list[list[tuple[str, str]]] = [[]]
    x = 0.0
    for entry in entries:
        width = _entry_width(entry[1])
        if 24 + x + width > _EDGE and rows[-1]:
            rows.append([])
            x = 0.0
        rows[-1].append(entry)
        x += width
    return rows


def _entries(rows: Sequence[Sequence[tuple[str, str]]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        x, y = 24.0, _LEGEND_TOP + _LEGEND_ROW * number
        for picture, words in row:
            yield f'<g transform="translate({x + 11:.1f} {y})">{picture}</g>{_text(x + 28, y + 4, words, "small")}'
            x += _entry_width(words)


def _entry_width(words: str) -> float:
    return 46 + 6.1 * len(words)


def _grid(scale: Scale, top: float, bottom: float) -> Iterator[str]:
    for one in scale.breaks:
        yield _quiet(one, top, bottom)
    free = 0.0
    for tick in scale.ticks():
        yield f'<path class="grid" d="M{tick.x:.1f} {top - 4:.1f}V{bottom:.1f}"/>'
        if tick.x - 3.2 * len(tick.label) >= free:
            for y in (top - 10, bottom + 16):
                yield _text(tick.x, y, tick.label, "aside small", anchor="middle")
            free = tick.x + 3.2 * len(tick.label) + 6


def _quiet(one: Break, top: float, bottom: float) -> str:
    width, middle = one.right - one.left, (one.left + one.right) / 2
    words = about(one.end - one.begin)
    return (
        f'<g><rect class="quiet" x="{one.left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}"/>'
        f"{_tear(one.left, top, bottom)}{_tear(one.right, top, bottom)}"
        f"{_text(middle, top - 26, words, 'aside small', anchor='middle')}"
        f"{_title(f'Nothing happened for {words}: this part of the axis is cut out.')}</g>"
    )


def _tear(x: float, top: float, bottom: float) -> str:
    steps = max(1, round((bottom - top) / 8))
    zigzag = "".join(f"l{3 if number % 2 == 0 else -3} {(bottom - top) / steps:.2f}" for number in range(steps))
    return f'<path class="tear" d="M{x:.1f} {top:.1f}{zigzag}"/>'


def _absences(chart: Chart, scale: Scale, top: float, bottom: float) -> Iterator[str]:
    for absence in chart.absences:
        left, right = scale.x(absence.begin), scale.x(absence.end)
        yield (
            f'<rect class="away" x="{left:.1f}" y="{top:.1f}" width="{max(2.0, right - left):.1f}"'
            f' height="{bottom - top:.1f}">{_title(f"No daemon: {absence.words}.")}</rect>'
        )


def _notes(chart: Chart, lanes: Sequence[Lane], scale: Scale, top: float, bottom: float) -> Iterator[str]:
    if chart.epilogue:
        x = scale.x(chart.end)
        yield f'<path class="end" d="M{x:.1f} {top - 4:.1f}V{bottom + 22:.1f}"/>'
        yield _text(_EDGE, bottom + 36, chart.epilogue, "small supervisor", anchor="end")
    left_out = len(chart.lanes) - len(lanes)
    words = f"{left_out} more without trouble, or beyond {_MOST_LANES} lines, are not drawn. " if left_out else ""
    words += (
        "Point at a bar, a mark or an arrow to read more. Moments close together are spread, so as to show their order."
    )
    yield _text(24, bottom + 36, words, "aside small")


# Lanes


def _lane(lane: Lane, lanes: Sequence[Lane], scale: Scale, y: float) -> Iterator[str]:
    name = lane.path.rpartition("/")[2]
    depth = lane.path.count("/") - lanes[0].path.count("/")
    shown = cut(printable(name), max(8, _NAME_COLUMNS - 2 * depth))
    yield f'<g class="{lane.type}">'
    yield f'<path class="grid" d="M{24 + 14 * depth} {y:.1f}H{_RIGHT}"/>'
    width = 7 * len(shown) + 8
    yield f'<rect x="{20 + 14 * depth}" y="{y - 9:.1f}" width="{width}" height="18" fill="#fff"/>'
    yield f"<g>{_text(24 + 14 * depth, y + 4, shown, lane.type)}{_title(lane.path)}</g>"
    for begin, end in lane.holds:
        held = f"Held down by an operator, for {about(end - begin)}."
        yield f'<path class="held" d="M{scale.x(begin):.1f} {y:.1f}H{scale.x(end):.1f}">{_title(held)}</path>'
    for lives in _bars(lane.lives, scale):
        yield _bar(lives[0], scale, y, lane.type) if len(lives) == 1 else _many(lives, scale, y)
    yield "</g>"


def _bars(lives: Iterable[Life], scale: Scale) -> Iterator[list[Life]]:
    """A row of lives that are too short to be told apart is one bar."""
    bar: list[Life] = []
    for life in lives:
        if bar and not _look_like_one(bar[-1], life, scale):
            yield bar
            bar = []
        bar.append(life)
    if bar:
        yield bar


def _look_like_one(life: Life, following: Life, scale: Scale) -> bool:
    edges = [scale.x(time) for time in (life.begin, life.end, following.begin, following.end)]
    return all(right - left < _SHORT for left, right in pairwise(edges))


def _bar(life: Life, scale: Scale, y: float, kind: str) -> str:
    up = life.up if life.up is not None else (life.stopping if life.stopping is not None else life.end)
    stopping = life.stopping if life.stopping is not None else life.end
    half = 3.0 if kind == "supervisor" else 6.0
    parts = (("starting", life.begin, up), ("up", up, stopping), ("stopping", stopping, life.end))
    drawn = [(css, scale.x(begin), scale.x(end)) for css, begin, end in parts if end > begin]
    if not any(right - left >= 1.5 for _, left, right in drawn):
        drawn = [("up", scale.x(life.begin), scale.x(life.begin) + 1.5)]
    rects = "".join(
        f'<rect class="{css}" x="{left:.2f}" y="{y - half:.1f}" width="{right - left:.2f}" height="{2 * half}"/>'
        for css, left, right in drawn
    )
    return f"<g>{rects}{_title(_life_in_words(life))}</g>"


def _many(lives: Sequence[Life], scale: Scale, y: float) -> str:
    left, right = scale.x(lives[0].begin), scale.x(lives[-1].end)
    words = f"{len(lives)} lives, too short to be drawn one by one, from {_moment(lives[0].begin)}"
    return (
        f'<rect class="many" x="{left:.2f}" y="{y - 6:.1f}" width="{max(2.0, right - left):.2f}"'
        f' height="12">{_title(words)}</rect>'
    )


_ENDS = {
    "crash": "it crashed",
    "normal": "it ended normally",
    "stopped": "it was stopped",
    "killed": "it was killed after its shutdown time",
    "start_failed": "it could not start",
    "lost": "its daemon ended",
    "alive": "it lives",
}


def _life_in_words(life: Life) -> str:
    lines = [f"{_moment(life.begin)} starts"]
    if life.up is not None:
        lines.append(f"{_moment(life.up)} is up, {about(life.up - life.begin)} later")
    if life.stopping is not None:
        lines.append(f"{_moment(life.stopping)} is asked to stop")
    age = about(life.end - life.begin)
    lines.append(f"{_moment(life.end)} {_ENDS.get(life.ended, life.ended)}, at the age of {age}")
    return "\n".join(lines)


class _Cluster(NamedTuple):
    x: float
    marks: list[Mark]


def _marks(lane: Lane, scale: Scale, y: float) -> Iterator[str]:
    """With what matters most of each beside it, where there is room."""
    clusters = _clusters(lane.marks, scale, _TOGETHER)
    if len(clusters) > _CROWD:
        clusters = _clusters(lane.marks, scale, _CROWDED)
    yield f'<g class="{lane.type}">'
    for cluster, after in zip_longest(clusters, clusters[1:]):
        yield _mark(cluster, (after.x if after is not None else _EDGE) - cluster.x, y)
    yield "</g>"


def _mark(cluster: _Cluster, room: float, y: float) -> str:
    first = min(cluster.marks, key=lambda mark: rank_of(mark.kind))
    told = [mark.words for mark in cluster.marks[:_MOST_TOLD]]
    if len(cluster.marks) > _MOST_TOLD:
        told.append(f"… and {len(cluster.marks) - _MOST_TOLD} more")
    count = sum(mark.kind == first.kind for mark in cluster.marks)
    beside = ""
    if count > 1:
        beside = f'<text class="count" x="7" y="-8">{count}\N{MULTIPLICATION SIGN}</text>'
    elif first.note and len(first.note) * 5.4 + 22 < room:
        beside = _text(9, -8, first.note, "note")
    picture = _use(glyph_of(first.kind))
    return f'<g transform="translate({cluster.x:.1f} {y:.1f})">{picture}{beside}{_title(chr(10).join(told))}</g>'


def _clusters(marks: Iterable[Mark], scale: Scale, together: float) -> list[_Cluster]:
    clusters: list[_Cluster] = []
    for mark in sorted(marks, key=lambda mark: (mark.time, mark.seq)):
        x = scale.x(mark.time)
        if not clusters or x - clusters[-1].x >= together:
            clusters.append(_Cluster(x, []))
        clusters[-1].marks.append(mark)
    return clusters


def _arrows(arrows: Iterable[Arrow], scale: Scale, middles: dict[str, float]) -> Iterator[str]:
    chosen: dict[tuple[str, str, int, int], tuple[Arrow, float, float]] = {}
    for arrow in sorted(arrows, key=lambda one: not one.is_strong):
        if arrow.source in middles and arrow.target in middles:
            begin, end = scale.x(arrow.begin), scale.x(arrow.end)
            place = (arrow.source, arrow.target, round(begin / _TOGETHER), round(end / _TOGETHER))
            chosen.setdefault(place, (arrow, begin, end))
    yield '<g class="pale">' if len(chosen) > _MANY_ARROWS else "<g>"
    for arrow, begin, end in islice(chosen.values(), _MOST_ARROWS):
        yield _arrow(arrow, begin, end, middles[arrow.source], middles[arrow.target])
    yield "</g>"


def _arrow(arrow: Arrow, begin: float, end: float, source: float, target: float) -> str:
    """Upwards it bends to the left and downwards to the right, so that it does not cover what is between."""
    way = 1 if target > source else -1
    source, target = source + 7 * way, target - 8 * way
    bend = way * min(26.0, 4 + abs(target - source) / 8)
    height = target - source
    css, head = ("arrow strong", "strong-head") if arrow.is_strong else ("arrow", "head")
    bow = f"{begin + bend:.1f} {source + height / 3:.1f} {end + bend / 2:.1f} {target - height / 3:.1f}"
    curve = f"M{begin:.1f} {source:.1f}C{bow} {end:.1f} {target:.1f}"
    names = " \N{RIGHTWARDS ARROW} ".join(path.rpartition("/")[2] for path in (arrow.source, arrow.target))
    words = f"{names}, {about(arrow.end - arrow.begin)} later"
    return f'<path class="{css}" d="{curve}" marker-end="url(#{head})">{_title(words)}</path>'


# Words


def _use(glyph: Glyph) -> str:
    return f'<use href="#{glyph.kind}"/>'


def _text(x: float, y: float, words: str, css: str, anchor: str = "") -> str:
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}"{where}>{escaped(words)}</text>'


def _title(words: str) -> str:
    return f"<title>{escaped(words)}</title>"


def escaped(words: str) -> str:
    """Harmless in XML and on the screen, line by line."""
    return html.escape("\n".join(printable(line) for line in words.split("\n")))


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _day(time: float) -> str:
    try:
        return datetime.fromtimestamp(time).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "?"


def _moment(time: float) -> str:
    return clock(time, 0.001)
