"""The README's examples run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.payload import RunLocation

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
OUTPUT = re.findall(r"```\n(task-0.*?)```", README.read_text(), re.DOTALL)


def test_the_example_prints_what_the_readme_says(capsys: pytest.CaptureFixture[str]):
    exec(compile(EXAMPLES[0], str(README), "exec"), {"__name__": "readme"})
    assert [capsys.readouterr().out] == OUTPUT


def test_the_services_on_aws_are_made_as_the_readme_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    names: dict[str, Any] = {"RunLocation": RunLocation}
    exec(compile(EXAMPLES[1], str(README), "exec"), names)
    names["jobs"].close()
    assert callable(names["store"].list)
