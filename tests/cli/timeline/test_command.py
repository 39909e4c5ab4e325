"""`timeline` of the journal of a daemon that is gone."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.why.journals import of_world
from tests.core.trees import one_for_one
from tests.core.world import World


@pytest.fixture
def folder(tmp_path: Path) -> str:
    of_world(tmp_path, World(one_for_one("root", "a", intensity=0)).boot().kill("a"))
    return str(tmp_path)


def test_it_is_said_where_the_drawing_is(folder: str, procsup: Run) -> None:
    path = Path(folder, "drawing.svg")
    assert procsup("timeline", "--state-dir", folder, "-o", str(path)) == (0, "", f"procsup: wrote {path}\n")
    assert path.read_text().startswith("<svg ")


def test_by_its_name_it_becomes_a_page(folder: str, procsup: Run) -> None:
    path = Path(folder, "drawing.HTML")
    assert procsup("timeline", "--state-dir", folder, "-o", str(path))[0] == 0
    assert path.read_text().startswith("<!doctype html>")


def test_without_a_file_the_drawing_is_the_output(folder: str, procsup: Run) -> None:
    status, out, err = procsup("timeline", "--state-dir", folder)
    assert (status, err) == (0, "")
    assert out.startswith("<svg ")


def test_another_kind_of_file_is_a_wrong_use(folder: str, procsup: Run) -> None:
    status, out, err = procsup("timeline", "--state-dir", folder, "-o", "x.png")
    assert (status, out) == (2, "")
    assert "'x.png': expected a name that ends in .svg or .html" in err


def test_a_place_where_nothing_can_be_written_is_a_failure(folder: str, procsup: Run) -> None:
    status, _, err = procsup("timeline", "--state-dir", folder, "-o", "/no/such/folder/x.svg")
    assert status == 1
    assert err == "procsup: cannot write '/no/such/folder/x.svg': No such file or directory\n"
