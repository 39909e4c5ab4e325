"""From the outline to the tree: who is whose child, and everything that keeps the children lists from being a tree.

`arrange` complains about names used twice, unknown children, children with two parents or none, cycles, two roots, an
empty tree, links and monitors that name no other worker, and about what a place in the tree forbids: `significant`
where it can mean nothing (as supervisor.erl, check_childspec/2), and the keys of a child on the root. `build` makes the
specs.

Nothing here recurses, because a file may nest a thousand supervisors; everything is linear in the names and the lists.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from procsup.config.keys import AS_CHILD
from procsup.config.nearest import Nearest
from procsup.config.outline import Node, Outline
from procsup.config.place import Place, listed, shown
from procsup.core.spec import AutoShutdown, ChildSpec, Restart, SupervisorSpec, WorkerSpec

DEEPEST = 1000
"""How many supervisors may stand above one another."""

IMPLICIT_ROOT = "root"


@dataclass(frozen=True, slots=True)
class RootName:
    """What [daemon] root says, and where."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class _Listing:
    """One entry of a children list that names a child there is."""

    parent: Node
    child: Node
    place: Place


def arrange(outline: Outline, whole: Place, root_name: RootName | None) -> Node | None:
    """The root, with the children of every node in place, or None after complaints that leave no tree.

    `whole` is the place of the first file.
    """
    before = len(whole.reading.findings)
    by_name = _by_name(outline.nodes)
    may_be_empty = not (outline.lost_a_file or outline.lost_a_worker)
    if may_be_empty and all(_is_supervisor(node) for node in outline.nodes):
        whole.complain("an empty tree: there is no worker", expected="at least one [worker.NAME]")
    supervisors = [node for node in outline.nodes if _is_supervisor(node)]
    _check_ties(outline, by_name)
    root: Node | None = None
    if supervisors:
        root = _arrange_lists(outline, supervisors, by_name, root_name)
    elif not outline.lost_a_file:
        root = _implicit_root(whole, by_name, root_name)
    if root is not None:
        _check_keys_of_root(root)
    if root is None or len(whole.reading.findings) > before:
        return None
    return root if _is_shallow_enough(root) else None


def top_down(root: Node) -> list[Node]:
    """Every node of the tree, each after its parent; reversed, each after its children."""
    nodes = [root]
    for node in nodes:
        nodes.extend(node.children)
    return nodes


def build(root: Node) -> SupervisorSpec:
    """The specs of an arranged tree."""
    built: dict[Node, ChildSpec] = {}
    for node in reversed(top_down(root)):
        spec = node.spec
        if isinstance(spec, SupervisorSpec):
            spec = replace(spec, children=tuple([built.pop(child) for child in node.children]))
        built[node] = spec
    tree = built[root]
    assert isinstance(tree, SupervisorSpec)
    return tree


def _is_supervisor(node: Node) -> bool:
    return isinstance(node.spec, SupervisorSpec)


def _by_name(nodes: Iterable[Node]) -> dict[str, Node]:
    by_name: dict[str, Node] = {}
    for node in nodes:
        known = by_name.setdefault(node.name, node)
        if known is not node:
            first, second = sorted((known.place, node.place), key=lambda place: (place.document.rank, place.line or 0))
            hint = "names are unique in the whole tree, over workers and supervisors and all files: rename one"
            second.complain("the name is used twice", hint=hint, other=("the first is at", first))
    return by_name


def _implicit_root(whole: Place, by_name: dict[str, Node], root_name: RootName | None) -> Node:
    if IMPLICIT_ROOT in by_name:
        by_name[IMPLICIT_ROOT].place.complain(
            f"the name is used twice: a file without supervisors gets one named {IMPLICIT_ROOT!r}",
            hint="rename the worker, or write a supervisor of your own that has the workers as children",
        )
    root = Node(whole, SupervisorSpec(IMPLICIT_ROOT), (), frozenset(), frozenset(), list(by_name.values()))
    _check_significant(root)
    if root_name is not None and root_name.name != IMPLICIT_ROOT:
        _complain_of_root_name(root_name, by_name, [root])
    return root


def _arrange_lists(
    outline: Outline, supervisors: list[Node], by_name: dict[str, Node], root_name: RootName | None
) -> Node | None:
    listings = list(_listings(outline, supervisors, by_name))
    closing = _check_cycles(supervisors, listings)
    parents = _check_single_parents(listing for listing in listings if listing not in closing)
    for listing in parents.values():
        listing.parent.children.append(listing.child)
    for supervisor in supervisors:
        _check_significant(supervisor)
    if outline.lost_a_file or outline.lost_a_list:
        return None
    children = {listing.child for listing in listings}
    unlisted = [node for node in by_name.values() if node not in children]
    root = _choose_root([node for node in unlisted if _is_supervisor(node)], by_name, root_name)
    _check_orphans(node for node in unlisted if node is not root and not (root is None and _is_supervisor(node)))
    return root


def _listings(outline: Outline, supervisors: list[Node], by_name: dict[str, Node]) -> Iterator[_Listing]:
    names = Nearest(by_name)
    for parent in supervisors:
        for i, name in enumerate(parent.listed):
            child = by_name.get(name)
            if child is not None:
                yield _Listing(parent, child, parent.place.at("children").at(i))
            elif name and not outline.lost_a_file:
                _complain_of_unknown_child(parent.place.at("children").at(i), name, names)


def _complain_of_unknown_child(place: Place, name: str, names: Nearest) -> None:
    hint = names.hint(name.rpartition("/")[2])
    if not hint and "/" in name:
        hint = "a children list holds names, not paths"
    expected = "the name of a [worker.NAME] or [supervisor.NAME]"
    place.complain("there is no such child", found=shown(name), expected=expected, hint=hint)


def _check_ties(outline: Outline, by_name: dict[str, Node]) -> None:
    """Whom `links` and `monitors` name."""
    names = Nearest(node.name for node in outline.nodes if not _is_supervisor(node))
    for node in outline.nodes:
        if isinstance(node.spec, WorkerSpec):
            for key, named in (("links", node.spec.bonds.links), ("monitors", node.spec.bonds.monitors)):
                for i, name in enumerate(named):
                    problem, hint = _why_no_tie(node, name, by_name, names)
                    if problem and not (outline.lost_a_file and name not in by_name):
                        place = node.place.at(key).at(i)
                        place.complain(problem, found=shown(name), expected="the name of another worker", hint=hint)


def _why_no_tie(node: Node, name: str, by_name: dict[str, Node], names: Nearest) -> tuple[str, str]:
    """What is wrong with naming it, or "", and a hint."""
    other = by_name.get(name)
    if not name:  # complained about already
        return "", ""
    if other is None:
        hint = names.hint(name.rpartition("/")[2])
        return "there is no such worker", hint or ("names, not paths, are written here" if "/" in name else "")
    if _is_supervisor(other):
        return "this is a supervisor, which is no process", "name a worker below it"
    return ("this is the worker itself", "take it away") if other is node else ("", "")


def _check_cycles(supervisors: list[Node], listings: list[_Listing]) -> set[_Listing]:
    """Complains about every cycle; the listings that close them. Looks from the roots down first, so that a cycle below
    a root is closed where it leads up again."""
    lists: dict[Node, list[_Listing]] = {node: [] for node in supervisors}
    for listing in listings:
        if listing.child in lists:
            lists[listing.parent].append(listing)
    children = {listing.child for listing in listings}
    roots = [supervisor for supervisor in supervisors if supervisor not in children]
    closing: set[_Listing] = set()
    seen: set[Node] = set()
    for start in [*roots, *supervisors]:
        if start not in seen:
            closing |= _check_cycles_below(start, lists, seen)
    return closing


def _check_cycles_below(start: Node, lists: dict[Node, list[_Listing]], seen: set[Node]) -> set[_Listing]:
    """A depth-first walk that keeps its path in a list: `depth` is where on it a node stands."""
    closing: set[_Listing] = set()
    seen.add(start)
    path, depth, rest = [start], {start: 0}, [iter(lists[start])]
    while path:
        step = next(rest[-1], None)
        if step is None:
            rest.pop()
            del depth[path.pop()]
        elif step.child in depth:
            closing.add(step)
            _complain_of_cycle(step, path, depth[step.child])
        elif step.child not in seen:
            seen.add(step.child)
            depth[step.child] = len(path)
            path.append(step.child)
            rest.append(iter(lists[step.child]))
    return closing


def _complain_of_cycle(closing: _Listing, path: list[Node], start: int) -> None:
    """`path` from `start` on is the cycle. A long one is told by both its ends."""
    length = len(path) - start
    names = [node.name for node in islice(path, start, start + 10 if length > 20 else None)]
    if length > 20:
        names += [f"({length - 20} more)", *(node.name for node in path[-10:])]
    spelled = " → ".join([*names, closing.child.name])
    closing.place.complain(f"a cycle: {spelled}", expected="a child that does not stand above its parent")


def _check_single_parents(listings: Iterable[_Listing]) -> dict[Node, _Listing]:
    """The first listing of every child."""
    parents: dict[Node, _Listing] = {}
    for listing in listings:
        first = parents.setdefault(listing.child, listing)
        if first is listing:
            continue
        name = listing.child.name
        if first.parent is listing.parent:
            problem = f"{name!r} is listed twice"
        else:
            problem = f"{name!r} has two parents, {first.parent.name!r} and {listing.parent.name!r}"
        hint = "each child stands in one children list, once"
        listing.place.complain(problem, hint=hint, other=("the first is at", first.place))
    return parents


def _choose_root(roots: list[Node], by_name: dict[str, Node], root_name: RootName | None) -> Node | None:
    """The one supervisor that is nobody's child, or the one of them that the file names."""
    if root_name is not None:
        named = next((node for node in roots if node.name == root_name.name), None)
        if named is None:
            _complain_of_root_name(root_name, by_name, roots)
        return named
    if len(roots) > 1:
        _complain_of_roots(*roots)
        return None
    return roots[0] if roots else None


def _complain_of_roots(first: Node, second: Node, *more: Node) -> None:
    rest = f", and {len(more)} more," if more else ""
    second.place.complain(
        f"two roots: {first.name!r} and {second.name!r}{rest} are nobody's children",
        expected="one supervisor that no children list holds",
        hint=f"add {second.name!r} to the children of another supervisor",
        other=(f"{first.name!r} is at", first.place),
    )


def _complain_of_root_name(root_name: RootName, by_name: dict[str, Node], roots: list[Node]) -> None:
    named = by_name.get(root_name.name)
    hint = ""
    if named is None:
        problem = "there is no such supervisor"
        hint = Nearest(node.name for node in roots).hint(root_name.name)
    elif _is_supervisor(named):
        problem = "this supervisor is the child of another"
    else:
        problem = "this is a worker, not a supervisor"
    expected = "the supervisor that is nobody's child" + (f", {roots[0].name!r}" if len(roots) == 1 else "")
    root_name.place.complain(problem, found=shown(root_name.name), expected=expected, hint=hint)


def _check_orphans(orphans: Iterable[Node]) -> None:
    for node in orphans:
        node.place.complain(
            "a child with no parent: no children list holds it",
            expected="every child in the children list of one supervisor",
            hint=f"add {node.name!r} to the children of a supervisor",
        )


def _check_significant(parent: Node) -> None:
    assert isinstance(parent.spec, SupervisorSpec)
    never = parent.spec.auto_shutdown is AutoShutdown.NEVER and "auto_shutdown" not in parent.wrong
    for child in parent.children:
        if not child.spec.significant:
            continue
        place = child.place.at("significant")
        if child.spec.restart is Restart.PERMANENT and "restart" not in child.wrong:
            expected = f"restart = {listed([Restart.TRANSIENT.value, Restart.TEMPORARY.value])}"
            place.complain("a permanent child cannot be significant: it never stays down", expected=expected)
        if never:
            place.complain(
                f"a significant child needs a supervisor that shuts itself down, and {parent.name!r} never does",
                expected=f"auto_shutdown = {listed(word.value for word in AutoShutdown if word != AutoShutdown.NEVER)}",
                hint=_significant_hint(parent),
            )


def _significant_hint(parent: Node) -> str:
    if not parent.place.path:
        return "write a supervisor of your own for it, with auto_shutdown, or take significant away"
    return f"set auto_shutdown of {parent.name!r}, or take significant away"


def _check_keys_of_root(root: Node) -> None:
    for key in AS_CHILD:
        if key in root.written:
            problem = f"{key} means nothing on the root, which is no supervisor's child"
            root.place.at(key).complain(problem, hint=f"take {key} away")


def _is_shallow_enough(root: Node) -> bool:
    """Whether no supervisor stands too deep; complains about the first that does."""
    level = {root: 1}
    for node in top_down(root):
        if level[node] > DEEPEST and _is_supervisor(node):
            expected = f"at most {DEEPEST} supervisors above one another"
            node.place.complain(f"the tree is too deep: level {level[node]}", expected=expected)
            return False
        for child in node.children:
            level[child] = level[node] + 1
    return True
