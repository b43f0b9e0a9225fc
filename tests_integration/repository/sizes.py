"""Print how long the functions and files of each package are. A report, not a check: a long function may earn it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Print one row a package, and the longest function of each."""
    print(f"{'package':<12}{'files':>6}{'longest':>9}{'functions':>11}{'median':>8}{'90 %':>7}  longest function")
    for package in sorted(path for path in ROOT.glob("packages/*/src/scaler_batch/*") if path.is_dir()):
        print(row(package))


def row(package: Path) -> str:
    """The figures of one package: lines of code a function, without signature and docstring."""
    files = {path: path.read_text() for path in sorted(package.rglob("*.py"))}
    sizes = {
        f"{path.relative_to(package)}:{function.name}": body_lines(function)
        for path, text in files.items()
        for function in functions(ast.parse(text))
    }
    if len(sizes) < 2:
        return f"{package.name:<12}{len(files):>6}  (fewer than two functions)"
    longest = max(sizes, key=sizes.__getitem__)
    return (
        f"{package.name:<12}{len(files):>6}{max(text.count(chr(10)) for text in files.values()):>9}{len(sizes):>11}"
        f"{median(sizes.values()):>8.0f}{quantiles(sizes.values(), n=10)[-1]:>7.0f}  {longest} ({sizes[longest]})"
    )


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, nested ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


if __name__ == "__main__":
    main()
