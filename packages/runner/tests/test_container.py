"""What control groups say, by the files they are: versions 1 and 2, inside and outside of a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaler_batch.runner.container import Container

V2_EVENTS = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"
V1_CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


def container(folder: Path, membership: str, **files: str) -> Container:
    for name, text in files.items():
        file = folder / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "membership").write_text(membership)
    return Container(str(folder / "mount"), str(folder / "membership"))


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/\n", {"memory.events": V2_EVENTS}),
        ("0::/ecs/task/abc\n", {"ecs/task/abc/memory.events": V2_EVENTS, "memory.events": "oom_kill 9\n"}),
        ("5:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n", {"memory/memory.oom_control": V1_CONTROL}),
        ("5:memory:/docker/abc\n", {"memory/docker/abc/memory.oom_control": V1_CONTROL}),
    ],
    ids=["2 inside", "2 outside", "1 inside", "1 outside"],
)
def test_kills_for_want_of_memory_are_counted(tmp_path: Path, membership: str, files: dict[str, str]) -> None:
    assert container(tmp_path, membership, **files).out_of_memory_kills() == 2


@pytest.mark.parametrize(
    ("membership", "files", "processors"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "25000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("2:cpu,cpuacct:/docker/abc\n", {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ("2:cpu,cpuacct:/docker/abc\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    ],
)
def test_processors_are_what_the_group_may_use(
    tmp_path: Path, membership: str, files: dict[str, str], processors: int | None
) -> None:
    assert container(tmp_path, membership, **files).processors() == processors


@pytest.mark.parametrize("text", ["", "nonsense", "oom_kill", "\x00\xff", "max", "0 0", "a b"])
@pytest.mark.parametrize("membership", ["", "0::/\n", "garbage\n", "1:memory:/x\n"])
def test_what_cannot_be_read_says_nothing(tmp_path: Path, text: str, membership: str) -> None:
    files = {"memory.events": text, "cpu.max": text, "cpu/cpu.cfs_quota_us": text, "cpu/cpu.cfs_period_us": text}
    told = container(tmp_path, membership, **files)
    assert told.out_of_memory_kills() is None
    assert told.processors() is None


def test_a_machine_without_control_groups_says_nothing(tmp_path: Path) -> None:
    told = Container(str(tmp_path / "none"), str(tmp_path / "neither"))
    assert (told.out_of_memory_kills(), told.processors()) == (None, None)
