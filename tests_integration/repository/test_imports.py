"""What a package imports it declares: an import that works because a sibling brought the module is a lie in waiting."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import sys
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conftest import Package

SIBLING = re.compile(r"scaler_batch(\.\w+)+")

COME_TOGETHER = {"botocore": "boto3"}
"""Distributions that are two faces of one: boto3 pins the botocore it is released with, and raises its errors."""


def test_every_import_is_declared(package: Package) -> None:
    declared = declared_distributions(package)
    undeclared = {
        f"{path}: {name}"
        for path, module in package.modules().items()
        for name in imported(module.body)
        if not providers(name) & declared
    }

    assert undeclared == set()


def test_every_requirement_is_used(package: Package) -> None:
    used = {
        provider
        for module in package.modules().values()
        for name in [*imported(module.body), *named(module), *run_as_programs(module)]
        for provider in providers(name)
    }

    assert declared_distributions(package) - {canonicalize_name(package.project["name"])} - used == set()


def test_boto3_is_imported_by_aws_and_local_only(packages: list[Package]) -> None:
    importers = {
        package.name
        for package in packages
        for module in package.modules().values()
        if {"boto3", "botocore"} & set(imported(module.body))
    }

    assert importers == {"aws", "local"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import zmq.asyncio", {"zmq"}),
        ("from scaler_batch.payload.pack import Pack", {"scaler_batch.payload"}),
        ("from scaler_batch import payload", {"scaler_batch.payload"}),
        ("def f():\n    import boto3", {"boto3"}),
        ("import json\nfrom . import keys", set()),
        ("if TYPE_CHECKING:\n    import mypy_boto3_batch", set()),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import boto3", {"boto3"}),
    ],
)
def test_the_finder_of_imports_finds_them(source: str, expected: set[str]) -> None:
    assert set(imported(ast.parse(source).body)) == expected


def imported(nodes: list[ast.stmt]) -> Iterator[str]:
    """Names of what is imported at run time and is not of the standard library, to the depth that names its owner."""
    for statement in nodes:
        for node in walk_at_run_time(statement):
            if isinstance(node, ast.Import):
                yield from outside(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield from outside(f"{node.module}.{alias.name}" for alias in node.names)


def named(module: ast.Module) -> Iterator[str]:
    """Siblings that a module names in a text, to import or start them by that name."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SIBLING.fullmatch(node.value):
            yield ".".join(node.value.split(".")[:2])


def run_as_programs(module: ast.Module) -> Iterator[str]:
    """Modules that a command line starts with ``-m``."""
    for node in ast.walk(module):
        if isinstance(node, ast.List):
            words = [word.value if isinstance(word, ast.Constant) else None for word in node.elts]
            yield from (str(name) for flag, name in itertools.pairwise(words) if flag == "-m")


def walk_at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Like :func:`ast.walk`, without the branches that only a type checker sees."""
    yield node
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = list(node.orelse)
    for child in children:
        yield from walk_at_run_time(child)


def outside(dotted: Iterator[str]) -> Iterator[str]:
    for parts in (name.split(".") for name in dotted):
        if parts[0] == "scaler_batch":
            yield ".".join(parts[:2])
        elif parts[0] not in sys.stdlib_module_names:
            yield parts[0]


def providers(name: str) -> set[str]:
    """Distributions that an import name comes from."""
    if name.startswith("scaler_batch."):
        return {name.replace("_", "-").replace(".", "-")}
    owners = installed().get(name, [])
    return {canonicalize_name(COME_TOGETHER.get(name, owner)) for owner in owners}


@functools.cache
def installed() -> Mapping[str, list[str]]:
    """Which distributions each import name of this environment comes from."""
    return packages_distributions()


def declared_distributions(package: Package) -> set[str]:
    """The package itself, what it requires, and what its extras require."""
    extras = package.project.get("optional-dependencies", {}).values()
    texts = [package.project["name"], *package.project["dependencies"], *(need for extra in extras for need in extra)]
    return {canonicalize_name(Requirement(text).name) for text in texts}
