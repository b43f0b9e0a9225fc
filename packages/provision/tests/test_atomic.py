"""Writing files whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from scaler_batch.provision import FileError
from scaler_batch.provision.atomic import read_text, write_text

if TYPE_CHECKING:
    from pathlib import Path


def test_the_new_text_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    write_text(path, "new")
    assert read_text(path) == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_text_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left"):
        write_text(path, "new")
    assert read_text(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot write"):
        write_text(tmp_path / "none" / "file", "text")


def test_what_is_not_there_is_none_and_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    assert read_text(tmp_path / "none") is None
    with pytest.raises(FileError, match="cannot read"):
        read_text(tmp_path)
