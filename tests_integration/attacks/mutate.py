"""Turn off one check after the other: does an attack succeed again?

``nox -s mutants`` changes one place of the installed packages at a time, as `MUTANTS` of each module beside this one
named ``mutants_*.py`` say, and runs the attacks that the check is there for. Good is when at least one of them fails
for each mutant: a check that can go without anybody's noticing guards nothing. The environments that it changes are
those of the session, never a checkout.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Mutant(NamedTuple):
    """One check, turned off.

    Attributes:
        check: What no longer happens, in a few words.
        module: Where, as ``scaler_batch.payload.outcomes``.
        old: Text of that module that stands there exactly once.
        new: What stands there instead.
        attacks: Tests, as pytest names them, below ``tests_integration/attacks``.
    """

    check: str
    module: str
    old: str
    new: str
    attacks: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What came of a mutant."""

    mutant: Mutant
    is_noticed: bool
    said: str


def all_mutants() -> list[Mutant]:
    """Collect the mutants of every area."""
    areas = sorted(path.stem for path in HERE.glob("mutants_*.py"))
    return [mutant for area in areas for mutant in importlib.import_module(area).MUTANTS]


def files_of(module: str) -> list[Path]:
    """Where a module is installed: here, and in the environment of jobs."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{module} is not installed here")
    files = [Path(spec.origin)]
    if python := os.environ.get("SCALER_BATCH_JOB_PYTHON"):
        script = f"import importlib.util as u; s = u.find_spec({module!r}); print(s.origin if s else '')"
        found = subprocess.run([python, "-c", script], capture_output=True, text=True).stdout.strip()
        files += [Path(found)] if found else []
    return files


@contextmanager
def changed(mutant: Mutant) -> Iterator[None]:
    """Have the mutant in place of what is installed."""
    files = files_of(mutant.module)
    before = {file: file.read_text() for file in files}
    if any(text.count(mutant.old) != 1 for text in before.values()):
        raise SystemExit(f"{mutant.module} does not hold exactly once: {mutant.old}")
    if any(
        ROOT in file.resolve().parents and "packages" in file.resolve().relative_to(ROOT).parts[:1] for file in files
    ):
        raise SystemExit("these packages are installed from the checkout, which mutants would change")
    try:
        for file, text in before.items():
            file.unlink()  # it may be a link to a file that other environments share
            file.write_text(text.replace(mutant.old, mutant.new))
        yield
    finally:
        for file, text in before.items():
            file.write_text(text)


def try_out(mutant: Mutant) -> Verdict:
    """Run the attacks against a mutant."""
    with changed(mutant):
        tests = [str(HERE / attack) for attack in mutant.attacks]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
    last = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else run.stderr.strip()[-200:]
    return Verdict(mutant, is_noticed=run.returncode == 1, said=last)  # 1: tests failed; anything else is no verdict


def main() -> int:
    """Try all mutants, or those whose names contain a word."""
    parser = argparse.ArgumentParser(description="Turn off one check after the other.")
    parser.add_argument("words", nargs="*", help="only mutants whose check contains one of these")
    words = parser.parse_args().words
    sys.path.insert(0, str(HERE))
    chosen = [mutant for mutant in all_mutants() if not words or any(word in mutant.check for word in words)]
    survivors = 0
    for mutant in chosen:
        verdict = try_out(mutant)
        survivors += not verdict.is_noticed
        print(f"{'noticed ' if verdict.is_noticed else 'SURVIVED'}  {mutant.check}: {verdict.said}", flush=True)
    print(f"{len(chosen)} mutants, {survivors} survived")
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    raise SystemExit(main())
