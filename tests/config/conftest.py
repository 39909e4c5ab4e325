"""A folder to write configurations into, and two ways to read them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from procsup.config.complaint import Complaint, ConfigError
from procsup.config.config import Config
from procsup.config.load import load


class Folder:
    """`tree.toml` in a folder of its own, as `procsup check` would be given it: by an absolute path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.main = str(path / "tree.toml")

    def write(self, text: str | bytes, name: str = "tree.toml") -> str:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(0o644)
        return str(file)

    def load(self, text: str | bytes, environ: Mapping[str, str] = {}, *, privileged: bool = False) -> Config:
        return load(self.write(text), environ, privileged=privileged)

    def complaints(
        self, text: str | bytes, environ: Mapping[str, str] = {}, *, privileged: bool = False
    ) -> tuple[Complaint, ...]:
        """Those of a configuration that cannot be used."""
        with pytest.raises(ConfigError) as refused:
            self.load(text, environ, privileged=privileged)
        assert any(not complaint.warning for complaint in refused.value.complaints)
        return refused.value.complaints

    def complaint(self, text: str | bytes, environ: Mapping[str, str] = {}) -> Complaint:
        """The only one."""
        (complaint,) = self.complaints(text, environ)
        return complaint

    def warnings(self, text: str) -> list[Complaint]:
        """Those of a configuration that can be used."""
        return list(self.load(text).warnings)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def assert_says(complaint: Complaint, words: list[str]) -> None:
    said = " ".join((complaint.problem, complaint.found, complaint.expected, complaint.hint))
    assert [word for word in words if word not in said] == [], said
