"""The chart as one page of HTML: the drawing, and below it in words what its marks stand for, in order."""

from procsup.cli.timeline.chart import Chart, Mark
from procsup.cli.timeline.glyphs import glyph_of
from procsup.cli.timeline.svg import escaped, svg_of

_MOST_ROWS = 2000
"""The last ones."""

_STYLE = (
    "body{margin:1em;font:14px system-ui,sans-serif;color:#212529}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse;margin:1em 24px}"
    "td{padding:.15em .8em .15em 0;vertical-align:top;white-space:pre-wrap}"
    "td:first-child{width:20px}"
)


def page_of(chart: Chart) -> str:
    rows = sorted((mark for lane in chart.lanes for mark in lane.marks), key=lambda mark: (mark.time, mark.seq))
    left_out = len(rows) - _MOST_ROWS
    note = f"<p>{left_out} earlier ones are left out.</p>" if left_out > 0 else ""
    table = "".join(_row(mark) for mark in rows[-_MOST_ROWS:])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>procsup timeline</title>'
        f"<style>{_STYLE}</style></head><body>\n{svg_of(chart)}{note}<table>{table}</table></body></html>\n"
    )


def _row(mark: Mark) -> str:
    picture = f'<svg width="20" height="18" viewBox="-10 -9 20 18"><use href="#{glyph_of(mark.kind).kind}"/></svg>'
    return f"<tr><td>{picture}</td><td>{escaped(mark.words)}</td></tr>\n"
