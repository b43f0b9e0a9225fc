"""The README's examples print what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
OUTPUT = re.findall(r"```text\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("example", "output"), list(zip(EXAMPLES, OUTPUT, strict=True)), ids=["failure", "call"])
def test_an_example_prints_what_the_readme_says(example: str, output: str, capsys: pytest.CaptureFixture[str]):
    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out == output
