"""Disks that fail: full ones, read-only ones. Mounting is for root; where it cannot be done the test is skipped."""

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of so many bytes (whole pages) at `folder`."""
    folder.mkdir(exist_ok=True)
    mounted = _mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder))
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Makes a `small_disk` so for a while."""
    assert _mount("-o", "remount,ro", str(disk)).returncode == 0
    try:
        yield
    finally:
        assert _mount("-o", "remount,rw", str(disk)).returncode == 0


@contextlib.contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """For this process: a write that would go beyond is cut off there, and the next one fails with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _mount(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
