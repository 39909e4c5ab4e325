"""Names of children: in their paths, and as people give them, a name, a path or a glob."""

import fnmatch
from collections.abc import Iterable, Iterator

from procsup.config.nearest import Nearest
from procsup.core import view
from procsup.core.child import Child
from procsup.core.node import Node
from procsup.wire.jsonrpc import Failure

_GLOB = frozenset("*?[")
_LONGEST = 4096
_MOST_GLOBS = 100
"""Of one call: each is held against the whole tree."""


def name_of(path: str) -> str:
    """Of the child there."""
    return path.rpartition("/")[2]


class Names:
    """Finds children of the node. An exact name is found in O(1), a glob in O(tree)."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def one(self, name: str) -> Child:
        """The child of this name, path or end of a path.

        Raises:
            Failure: no_such_name.
        """
        child = self._node.child(name) or self._node.named(name_of(name))
        if child is not None and not f"/{child.path}".endswith(f"/{name}"):
            child = None
        if child is None:
            near = Nearest(other.name for other in self._node.children()).to(name)
            hint = f"; did you mean {near!r}?" if near else ""
            raise Failure("no_such_name", f"cannot find {name!r} in the tree{hint}")
        return child

    def all(self, names: Iterable[str]) -> list[Child]:
        """The children that are named, each once, in the order of the names and, of a glob, in that of the tree.

        Raises:
            Failure: no_such_name, of whichever comes first; invalid_params when there are no names.
        """
        names = tuple(names)
        if any(len(name) > _LONGEST for name in names) or sum(map(self._is_glob, names)) > _MOST_GLOBS:
            why = f"a name has at most {_LONGEST} characters, and a call at most {_MOST_GLOBS} patterns"
            raise Failure("invalid_params", f"cannot tell what is meant: {why}")
        found: dict[str, Child] = {}
        for name in names:
            matches = self._matches(name) if self._is_glob(name) else [self.one(name)]
            found.update((child.path, child) for child in matches)
        if not found:
            raise Failure("invalid_params", "cannot tell what is meant: no name given")
        return list(found.values())

    def _matches(self, pattern: str) -> list[Child]:
        paths = [row.path for row in view.tree(self._node) if _fits(row.path, pattern)]
        if not paths:
            raise Failure("no_such_name", f"cannot find anything in the tree that matches {pattern!r}")
        return [child for path in paths if (child := self._node.child(path)) is not None]

    def topmost(self, names: Iterable[str]) -> list[str]:
        """The paths of the children named, without what lies below another one that a glob took in, nor the root."""
        names = tuple(names)
        children = self.all(names)
        exact = {self.one(name).path for name in names if not self._is_glob(name)}
        paths: list[str] = []
        chosen: set[str] = set()
        for child in children:
            is_covered = child.path not in exact and (
                child.parent is None or any(above in chosen for above in _above(child.path))
            )
            if not is_covered:
                paths.append(child.path)
                chosen.add(child.path)
        return paths

    def _is_glob(self, name: str) -> bool:
        return bool(_GLOB & set(name)) and self._node.named(name) is None


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _fits(path: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name_of(path), pattern) or fnmatch.fnmatchcase(path, pattern)
