"""Jobs as containers, as far as that goes without an engine: the rest is tested with the image."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.containers import endings
from scaler_batch.local.containers.engine import Death, _repository_and_tag
from scaler_batch.local.containers.host import ContainerHost
from scaler_batch.local.containers.ownership import Found, Owner, is_left_behind
from scaler_batch.local.containers.wishes import heeded, host_options
from scaler_batch.local.errors import ContainerError, StartError
from scaler_batch.local.jobhost.messages import (
    Ended,
    Message,
    Output,
    Ready,
    Refused,
    Start,
    Started,
    Stop,
    decode,
    encode,
)

MIB = 1 << 20


class Engine:
    """Containers that say what they are told to say, and run until they are told to end."""

    def __init__(self) -> None:
        self.images = {"image"}
        self.containers: dict[str, str] = {}
        self.output: dict[str, list[tuple[bytes | None, bytes | None]]] = {}
        self.deaths: dict[str, queue.SimpleQueue[Death]] = {}
        self.pulling = threading.Event()
        self.pulling.set()

    def need_image(self, image: str) -> None:
        assert self.pulling.wait(10)
        if image not in self.images:
            raise ContainerError(f"CannotPullContainerError: {image}")

    def create(self, wanted: Start, owner: str) -> str:
        self.deaths[wanted.attempt] = queue.SimpleQueue()
        self.containers[wanted.attempt] = owner
        return wanted.attempt

    def start(self, container: str) -> Iterator[tuple[bytes | None, bytes | None]]:
        if container.startswith("broken"):
            raise ContainerError("CannotStartContainerError: broken")
        return iter(self.output.get(container, ()))

    def wait(self, container: str) -> Death:
        return self.deaths[container].get(timeout=10)

    def kill(self, container: str, number: int) -> None:
        self.deaths[container].put(Death(128 + number, out_of_memory=False))

    def remove(self, container: str) -> None:
        if self.containers.pop(container, None) is not None:
            self.deaths[container].put(Death(137, out_of_memory=False))

    def ours(self, owner: str | None = None) -> list[Found]:
        return [Found(name, whose, running=True) for name, whose in self.containers.items() if owner in {None, whose}]


class Conversation:
    """A container host on a thread, and the server's end of its socket."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.channel, theirs = socket.socketpair()
        self.heard = self.channel.makefile("rb")
        self.host = ContainerHost(theirs, self.engine, Owner("world", 1, 2))  # type: ignore[arg-type]
        self.thread = threading.Thread(target=self.host.run, daemon=True)
        self.thread.start()
        assert isinstance(self.next(), Ready)

    def send(self, message: Message) -> None:
        self.channel.sendall(encode(message))

    def start(self, attempt: str = "a", image: str = "image") -> None:
        self.send(Start(attempt, ["command"], {}, {"image": image}))

    def next(self) -> Message:
        return decode(self.heard.readline())

    def close(self) -> None:
        self.channel.shutdown(socket.SHUT_WR)
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.heard.close()
        self.channel.close()


@pytest.fixture
def conversation() -> Iterator[Conversation]:
    conversation = Conversation()
    yield conversation
    conversation.close()


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come to pass")


def test_output_comes_by_the_line_before_the_end_and_streams_do_not_mix(conversation: Conversation) -> None:
    conversation.engine.output["a"] = [(b"on", None), (None, b"err\n"), (b"e\nrest", None)]
    conversation.start()
    assert conversation.next() == Started("a", 0)
    conversation.send(Stop("a", signal.SIGTERM))
    said = [conversation.next() for _ in range(4)]
    assert [each.lines for each in said if isinstance(each, Output)] == [["err"], ["one"], ["rest"]]
    assert said[-1] == Ended("a", 143, 0.0)
    until(lambda: not conversation.engine.containers)


@pytest.mark.parametrize(
    ("death", "told"), [(Death(137, True), True), (Death(137, False), False), (Death(0, True), False)]
)
def test_want_of_memory_is_told_where_it_ended_the_job(conversation: Conversation, death: Death, told: bool) -> None:
    conversation.start()
    assert conversation.next() == Started("a", 0)
    conversation.engine.deaths["a"].put(death)
    assert conversation.next() == Ended("a", death.exit_code, 0.0, out_of_memory=told)


def test_an_image_that_cannot_be_had_is_a_refusal(conversation: Conversation) -> None:
    conversation.start(image="nowhere")
    reason = "CannotPullContainerError: nowhere"
    assert conversation.next() == Refused("a", reason, reason)
    assert conversation.engine.containers == {}


def test_a_container_that_cannot_be_started_is_removed(conversation: Conversation) -> None:
    conversation.start("broken")
    assert isinstance(conversation.next(), Refused)
    until(lambda: not conversation.engine.containers)


def test_what_is_stopped_while_its_image_is_pulled_never_starts(conversation: Conversation) -> None:
    conversation.engine.pulling.clear()
    conversation.start("stopped")
    conversation.send(Stop("stopped", signal.SIGTERM))
    conversation.start("other", image="nowhere")
    attempts = conversation.host._attempts
    until(lambda: "stopped" in attempts and attempts["stopped"].stopped)
    conversation.engine.pulling.set()
    refused = [conversation.next(), conversation.next()]
    assert {each.attempt for each in refused if isinstance(each, Refused)} == {"stopped", "other"}
    assert conversation.engine.deaths == {}


def test_when_the_server_goes_its_containers_are_removed_and_no_others() -> None:
    conversation = Conversation()
    conversation.engine.containers["foreign"] = "somebody else"
    conversation.start()
    assert conversation.next() == Started("a", 0)
    conversation.close()
    assert conversation.engine.containers == {"foreign": "somebody else"}


def test_when_the_server_goes_what_is_still_pulled_never_starts() -> None:
    conversation = Conversation()
    conversation.engine.pulling.clear()
    conversation.start()
    until(lambda: "a" in conversation.host._attempts)
    conversation.close()
    conversation.engine.pulling.set()
    until(lambda: not conversation.host._attempts)
    assert conversation.engine.deaths == {}


def test_a_container_belongs_to_a_process() -> None:
    me = Owner.this_process()
    assert Owner.parse(str(me)) == me
    assert me.visible
    assert me.alive
    assert not Owner(me.world, me.pid, me.started + 1).alive


def test_a_process_that_ended_owns_nothing_even_unburied() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    started = int(stat.rpartition(")")[2].split()[19])
    assert not Owner(Owner.this_process().world, process.pid, started).alive
    process.wait()


@pytest.mark.parametrize(
    ("owner", "running", "left"),
    [
        pytest.param(str(Owner.this_process()), True, False, id="ours, running"),
        pytest.param(str(Owner.this_process()), False, False, id="ours"),
        pytest.param(f"{Owner.this_process().world}/1/999999999999", True, True, id="gone"),
        ("another machine/pid:[1]/1/1", True, False),
        ("another machine/pid:[1]/1/1", False, True),
        ("nonsense", True, False),
        ("a/b/c", False, True),
    ],
)
def test_only_what_nobody_will_remove_is_left_behind(owner: str, running: bool, left: bool) -> None:
    assert is_left_behind(Found("id", owner, running)) is left


def test_a_container_gets_the_jobs_resources() -> None:
    container = heeded(
        {
            "image": "image",
            "command": ["x"],
            "environment": [{"name": "SECRET", "value": "x"}],
            "user": "nobody",
            "readonlyRootFilesystem": True,
            "resourceRequirements": [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}],
            "linuxParameters": {"initProcessEnabled": True, "sharedMemorySize": 128},
            "privileged": None,
        }
    )
    assert not {"command", "environment", "privileged"} & container.keys()
    options = host_options(Start("a", [], {}, container, 512 * MIB, [["nofile", 10, 20]]))
    assert options["mem_limit"] == options["memswap_limit"] == 512 * MIB
    assert options["cpu_shares"] == 256
    assert options["shm_size"] == 128 * MIB
    assert options["ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}]
    assert (options["read_only"], options["init"], options["privileged"]) == (True, True, False)


def test_a_job_that_states_no_memory_has_no_limit() -> None:
    options = host_options(Start("a", [], {}, {"image": "image"}))
    assert not {"mem_limit", "memswap_limit"} & options.keys()
    assert host_options(Start("a", [], {}, {"image": "image"}, memory=4 * MIB))["mem_limit"] == 6 * MIB


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("runner", ("runner", "latest")),
        ("runner:1", ("runner", "1")),
        ("127.0.0.1:5000/a/runner", ("127.0.0.1:5000/a/runner", "latest")),
        ("127.0.0.1:5000/a/runner:1", ("127.0.0.1:5000/a/runner", "1")),
        ("runner@sha256:abc", ("runner@sha256:abc", None)),
    ],
)
def test_images_are_pulled_by_one_tag(image: str, parts: tuple[str, str | None]) -> None:
    assert _repository_and_tag(image) == parts


def test_endings_have_awss_words() -> None:
    assert endings.out_of_memory(137).reason == "OutOfMemoryError: Container killed due to memory usage"
    long = endings.refused("CannotPullContainerError: " + "x" * 300)
    assert (long.exit_code, len(long.reason or ""), long.status_reason) == (None, 255, "Task failed to start")


def test_without_an_engine_the_server_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(StartError), LocalAWS(LocalSettings(jobs="docker")):
        pass
    assert "no Docker engine answers" in capfd.readouterr().err


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from scaler_batch.local.containers.engine import DockerEngine

    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(StartError, match=r"scaler-batch-local\[docker\]"):
        DockerEngine()


def test_the_mode_is_one_of_three() -> None:
    for mode in ("fork", "spawn", "docker"):
        assert LocalSettings(jobs=mode).jobs == mode  # type: ignore[arg-type]
