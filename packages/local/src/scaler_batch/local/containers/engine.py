"""The Docker engine, in the few words that the host needs. Nothing else here knows the SDK, or its exceptions.

The SDK is imported when an engine is wanted, because only those who have one need it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import ContainerError, StartError
from ..jobhost.messages import Start
from .ownership import ATTEMPT_LABEL, LABEL, Found
from .wishes import host_options

INSTALL = 'jobs as containers need the docker SDK: pip install "scaler-batch-local[docker]"'
_CANNOT_PULL = "CannotPullContainerError"


@dataclass(frozen=True)
class Death:
    """How a container ended.

    Attributes:
        exit_code: Of its first process; 128 plus the signal's number when one ended it.
        out_of_memory: Whether the kernel killed something in it for want of memory.
    """

    exit_code: int
    out_of_memory: bool


class DockerEngine:
    """A Docker engine that answers. Its methods may be called from any thread.

    Raises:
        StartError: There is none, or no SDK to speak to it.
    """

    def __init__(self) -> None:
        try:
            import docker
        except ImportError as error:
            raise StartError(INSTALL) from error
        self._failures = (docker.errors.DockerException, OSError)  # which all failures of connections are
        self._missing = docker.errors.NotFound
        try:
            self._api: Any = docker.APIClient(version="auto", **docker.utils.kwargs_from_env())
        except self._failures as error:
            raise StartError(f"no Docker engine answers: {error}") from error

    def need_image(self, image: str) -> None:
        """Have an image, from here or from its registry.

        Raises:
            ContainerError: It cannot be had.
        """
        with self._refusing(_CANNOT_PULL):
            if not self._has(image):
                for step in self._api.pull(*_repository_and_tag(image), stream=True, decode=True):
                    if "error" in step:  # told in the midst of an answer that began as a success
                        raise ContainerError(_reason(_CANNOT_PULL, step["error"]))

    def create(self, wanted: Start, owner: str) -> str:
        """Make the container of an attempt, and give its id.

        Raises:
            ContainerError: It cannot be made.
        """
        with self._refusing("CannotCreateContainerError"):
            made = self._api.create_container(
                wanted.container.get("image"),
                wanted.command or None,
                environment=wanted.environment,
                user=wanted.container.get("user"),
                labels={LABEL: owner, ATTEMPT_LABEL: wanted.attempt},
                name=f"scaler-batch-job-{wanted.attempt}",
                host_config=self._api.create_host_config(**host_options(wanted)),
            )
        return str(made["Id"])

    def start(self, container: str) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Start a container, and give pieces of its output and of its errors until it ends.

        Raises:
            ContainerError: Its command cannot be run.
        """
        with self._refusing("CannotStartContainerError"):
            output = self._api.attach(container, stream=True, demux=True)
            self._api.start(container)
        return self._until_end(output)

    def wait(self, container: str) -> Death:
        """Wait until a container has ended.

        Raises:
            ContainerError: The engine, or the container, has gone.
        """
        with self._refusing("DockerTimeoutError"):
            code = self._api.wait(container)["StatusCode"]
            state = self._api.inspect_container(container)["State"]
        return Death(int(code), bool(state.get("OOMKilled")))

    def kill(self, container: str, number: int) -> None:
        """Send a signal to a container's first process; it may have ended meanwhile."""
        with contextlib.suppress(*self._failures):
            self._api.kill(container, number)

    def remove(self, container: str) -> None:
        """Remove a container, running or not; it may have gone already."""
        with contextlib.suppress(*self._failures):
            self._api.remove_container(container, force=True, v=True)

    def ours(self, owner: str | None = None) -> list[Found]:
        """Every container that a host like this one has made, or one certain host.

        Raises:
            StartError: The engine does not say.
        """
        label = LABEL if owner is None else f"{LABEL}={owner}"
        try:
            listed = self._api.containers(all=True, filters={"label": label})
        except self._failures as error:
            raise StartError(f"the Docker engine does not list its containers: {error}") from error
        return [Found(each["Id"], each["Labels"].get(LABEL, ""), each["State"] == "running") for each in listed]

    def _has(self, image: str) -> bool:
        try:
            self._api.inspect_image(image)
        except self._missing:
            return False
        return True

    def _until_end(self, output: Iterator[Any]) -> Iterator[tuple[bytes | None, bytes | None]]:
        """What is left of the output when the engine goes does not matter: :meth:`wait` tells."""
        with contextlib.suppress(*self._failures):
            yield from output

    @contextlib.contextmanager
    def _refusing(self, kind: str) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise ContainerError(_reason(kind, getattr(error, "explanation", None) or error)) from error


def _reason(kind: str, why: object) -> str:
    return f"{kind}: Error response from daemon: {why}"


def _repository_and_tag(image: str) -> tuple[str, str | None]:
    """An image's name in two; without a tag the newest is meant, not all of them."""
    if "@" in image:
        return image, None
    name, _, tag = image.rpartition(":")
    return (name, tag) if name and "/" not in tag else (image, "latest")
