"""What the package is built on: one state, one door, shells that keep nothing."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import get_origin, get_type_hints

import pytest

from scaler_batch import tasks
from scaler_batch.tasks import commands, events, manager
from scaler_batch.tasks.state import State, attempt, checkups, core, machine, objects, stopping, tables

ROOT = Path(tasks.__file__).parent

MUTABLE = [
    tables.Task,
    tables.Job,
    tables.Submission,
    tables.JobTable,
    objects.StoredObject,
    attempt.Attempt,
    checkups.Checkup,
    stopping.Stop,
    core.Core,
    core.Cleaning,
    core.Ending,
    core.Replying,
    core.Reading,
    core.Watching,
    core.Submitting,
]
"""What changes while tasks go through."""

CHANGING = {
    "append",
    "appendleft",
    "pop",
    "popleft",
    "popitem",
    "clear",
    "add",
    "discard",
    "update",
    "setdefault",
    "extend",
}


def attributes(kind: type) -> set[str]:
    """The public attributes of a class, as its constructor or its fields name them."""
    fields = set(getattr(kind, "__dataclass_fields__", ()))
    if fields:
        return fields
    tree = ast.parse(inspect.getsource(kind))
    return {
        target.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute) and not target.attr.startswith("_")
    }


STATE = {name for kind in MUTABLE for name in attributes(kind)}


def changes(tree: ast.AST) -> Iterator[str]:
    """Attributes that a module assigns, deletes or changes in place, other than those of its own ``self``."""
    for node in ast.walk(tree):
        for target in targets(node):
            while isinstance(target, ast.Subscript):
                target = target.value
            if isinstance(target, ast.Attribute) and not (
                isinstance(target.value, ast.Name) and target.value.id == "self"
            ):
                yield target.attr


def targets(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=found) | ast.Delete(targets=found):
            return [each for one in found for each in (one.elts if isinstance(one, ast.Tuple) else [one])]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in CHANGING:
            return [value]
    return []


def sources(*folders: str) -> Iterator[Path]:
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] in folders or not folders:
            yield path


def test_the_list_of_what_changes_is_no_empty_one():
    assert {"stage", "unanswered", "failure", "read_error", "alone", "step", "in_doubt", "calm"} <= STATE


def test_only_the_state_changes_what_it_is_made_of():
    outside = [path for path in sources() if path.relative_to(ROOT).parts[0] not in ("state", "testing", "simulation")]
    assert len(outside) > 15
    found = {(path.name, name) for path in outside for name in changes(ast.parse(path.read_text())) if name in STATE}
    assert not found


def test_the_state_neither_waits_nor_looks_at_a_clock_nor_calls_anybody():
    for path in sources("state", "scheduling.py"):
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)], path.name
        imported = {name.split(".")[0] for name in imports(tree)}
        assert not imported & {"asyncio", "time", "datetime", "threading", "os", "boto3"}, path.name
        assert not [name for name in imports(tree) if name.startswith("scaler_batch.tasks.io")], path.name


def test_shells_keep_nothing():
    for path in sources("io"):
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.Global | ast.Nonlocal)]
        assert not list(changes(tree)) or path.name == "collect.py", path.name


def imports(tree: ast.AST) -> list[str]:
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


def test_every_command_has_a_shell_and_every_event_a_handler():
    at_once = {commands.Announce, commands.Discard}
    shells = manager._shells(*[object()] * 4)
    assert set(shells) | at_once == set(commands.Command.__args__)
    assert set(machine._HANDLERS) == set(events.Event.__args__)


def classes() -> list[type]:
    modules = [import_module(found.name) for found in pkgutil.walk_packages([str(ROOT)], f"{tasks.__name__}.")]
    return [
        kind
        for module in modules
        if ".testing" not in module.__name__
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__ and isinstance(vars(kind).get("__init__"), FunctionType)
    ]


def written(kind: type) -> bool:
    """Whether somebody wrote the constructor: those of data classes take what there is to hold."""
    return not hasattr(kind, "__dataclass_fields__")


@pytest.mark.parametrize("kind", [kind for kind in classes() if written(kind)], ids=lambda kind: kind.__name__)
def test_a_constructor_takes_seven_things_at_most(kind: type):
    assert len(inspect.signature(kind).parameters) <= 7


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__name__)
def test_no_constructor_takes_a_function_but_the_clock(kind: type):
    names = vars(import_module(kind.__module__)) | vars(import_module("scaler_batch.tasks.state.tables"))
    try:
        hints = get_type_hints(kind.__init__, globalns=names)
    except NameError:
        hints = inspect.get_annotations(kind.__init__)
    for name, hint in hints.items():
        callable_ = "Callable" in str(hint) or get_origin(hint) is Callable
        assert name == "clock" or not callable_, f"{kind.__name__}: {name}"


def test_the_door_is_small():
    public = {name for name, _ in inspect.getmembers(State) if not name.startswith("_")}
    assert public == {
        "admitted_first", "answers", "handle", "holds", "is_idle", "job_of", "jobs", "keys_in_use", "refused",
        "stages", "stopped", "verdict", "waiting", "wake_at",
    }  # fmt: skip
