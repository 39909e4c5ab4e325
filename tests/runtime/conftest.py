"""Fixtures for tests with real processes."""

from tests.kit.fixtures import supervise

__all__ = ["supervise"]
