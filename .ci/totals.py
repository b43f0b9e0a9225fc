"""Add up what several pytest runs came to, and say it in one closing line.

    python .ci/totals.py REPORT...

Each report is a JUnit XML file. A report that is named but missing counts as one failure: a run that broke down
before it could write must not look like a run without failures.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def main(paths: list[Path]) -> int:
    """Print one line a report and the sum; return the exit status."""
    total: Counter[str] = Counter()
    for path in paths:
        counts = read(path)
        print(f"  {path.stem}: {sentence(counts)}" if path.exists() else f"  {path.stem}: left no report")
        total += counts
    print(sentence(total))
    return 0 if total["passed"] and not total["failed"] else 1


def read(path: Path) -> Counter[str]:
    """Count the outcomes in one report."""
    if not path.exists():
        return Counter(failed=1)
    return Counter(verdict(case) for case in ElementTree.parse(path).iter("testcase"))


def verdict(case: ElementTree.Element) -> str:
    """Tell what a test case came to. A test that passed and broke in its teardown has failed."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def sentence(counts: Counter[str]) -> str:
    """Say the counts in the words that readers of test output look for."""
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    return f"{counts['passed']} passed, {counts['failed']} failed{skipped}"


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
