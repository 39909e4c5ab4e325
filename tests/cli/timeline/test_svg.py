"""The drawing: one file that needs no other, whatever stands in the journal."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as some

from procsup.cli.timeline.chart import Chart
from procsup.cli.timeline.page import page_of
from procsup.cli.timeline.svg import svg_of
from tests.cli.timeline.charts import chart, chart_of_world, happenings
from tests.core.trees import one_for_one
from tests.core.world import World

SVG = "{http://www.w3.org/2000/svg}"


def pill() -> Chart:
    tree = one_for_one("kingdom", one_for_one("api", "cache", "web", intensity=1), "lab", intensity=0)
    return chart_of_world(World(tree).boot().kill("cache").kill("cache"))


def drawn(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(svg_of(chart))


def texts(chart: Chart) -> list[str]:
    return [element.text or "" for element in drawn(chart).iter(f"{SVG}text")]


def tool_tips(chart: Chart) -> list[str]:
    return [element.text or "" for element in drawn(chart).iter(f"{SVG}title")]


def crashes(count: int, apart: float) -> Chart:
    events: list[tuple[float, str, str, dict[str, object]]] = []
    for number in range(count):
        events += [
            (number * apart, "starting", "root/a", {}),
            ((number + 0.1) * apart, "ready", "root/a", {}),
            ((number + 0.9) * apart, "exited", "root/a", {"reason": "exit 1"}),
        ]
    return chart(happenings((0.0, "daemon_started", "root"), *events))


def test_every_child_has_its_name_and_every_kind_of_mark_its_legend() -> None:
    said = texts(pill())
    assert {"kingdom", "api", "cache", "web", "lab"} <= set(said)
    assert {"crashed", "restarted a child", "gave up", "learned that a child gave up", "stopped, as asked"} <= set(said)
    assert "could not start" not in said
    assert "the daemon ended with exit status 70" in said


def test_the_title_says_of_what_it_is() -> None:
    assert texts(pill())[0] == "Timeline of kingdom"
    assert texts(pill())[1].endswith("3 workers, 2 crashes, 1 restart, 2 give-ups")


def test_marks_bars_and_arrows_tell_what_they_are() -> None:
    tips = "\n".join(tool_tips(pill()))
    assert "cache exited with code 1" in tips or "cache was ended by" in tips
    assert "api gives up" in tips
    assert "cache → api" in tips
    assert "it crashed, at the age of" in tips


def test_the_budget_stands_beside_a_restart_and_the_reason_beside_a_crash() -> None:
    said = texts(crashes(3, apart=100.0))
    assert said.count("exit 1") == 3


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs() -> None:
    for text in (svg_of(pill()), page_of(pill())):
        assert re.findall(r"https?://[^\"]*", text.replace("http://www.w3.org/2000/svg", "")) == []
        assert "<script" not in text
        assert "@import" not in text


EVIL = "</text><script>alert('&\"')</script>\x1b[2J\x00\u202e\udcff"


@given(some.text(min_size=1, max_size=20) | some.just(EVIL), some.text(max_size=20) | some.just(EVIL))
def test_no_name_and_no_word_gets_out_of_its_place(name: str, reason: str) -> None:
    found = chart(happenings((0.0, "starting", f"root/{name}"), (1.0, "exited", f"root/{name}", {"reason": reason})))
    text = svg_of(found)
    text.encode("utf-8")
    tree = ElementTree.fromstring(text)
    assert list(tree.iter(f"{SVG}script")) == []
    assert "<script" not in page_of(found)


def test_a_journal_in_which_nothing_happened_is_drawn_as_such() -> None:
    assert texts(chart([])) == ["Timeline", "Nothing has happened that could be shown."]


@pytest.mark.parametrize("apart", [0.001, 0.1, 60.0])
def test_thousands_of_crashes_stay_a_small_file_with_every_crash_counted(apart: float) -> None:
    found = crashes(3000, apart)
    assert len(svg_of(found)) < 300_000
    times = "\N{MULTIPLICATION SIGN}"
    counts = [int(text[:-1]) for text in texts(found) if text.endswith(times)]
    singles = sum(text == "exit 1" for text in texts(found))
    assert sum(counts) + singles == 3000


def test_of_too_many_lanes_those_with_trouble_are_drawn_and_the_others_counted() -> None:
    quiet = [(0.0, "starting", f"root/w{number}") for number in range(500)]
    found = chart(happenings(*quiet, (1.0, "exited", "root/w400", {"reason": "exit 1"})))
    said = texts(found)
    assert "w400" in said
    assert "w399" not in said
    assert any(text.startswith("499 more without trouble") for text in said)


def test_the_page_tells_what_happened_in_its_order() -> None:
    page = page_of(pill())
    told = ["api restarts cache (1 of 1", "api gives up", "kingdom is told that api gave up", "kingdom gives up"]
    places = [page.rindex(words) for words in told]
    assert places == sorted(places)
