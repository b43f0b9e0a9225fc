"""The Docker engine, through its own library: no shell, and no password on a command line or in a file.

The only importer of docker.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import docker
from docker.errors import DockerException

from scaler_batch.provision.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from scaler_batch.provision.resources.repository import Login

_NO_ENGINE: Final = "start Docker, or say with DOCKER_HOST where it is; or name a ready image with --image"
_TAIL: Final = 8
"""Lines of a build's output that an error shows."""

_SECONDS: Final = 600
"""Longest silence of the engine, in the midst of work."""


def check() -> None:
    """See that an engine answers.

    Raises:
        EngineError: None does.
    """
    with _engine():
        pass


def build(
    folder: Path,
    dockerfile: Path,
    name: str,
    arguments: Mapping[str, str],
    notify: Callable[[str], None],
    *,
    platform: str,
) -> None:
    """Build an image from a folder, without a network.

    Args:
        folder: What the Dockerfile may copy.
        dockerfile: The Dockerfile, which lies outside of the folder.
        name: What to call the image, its tag included.
        arguments: What the Dockerfile is told.
        notify: Told of each step.
        platform: What the image is for, such as ``linux/amd64``: not what the engine's machine happens to be.

    Raises:
        EngineError: No engine answers, or the image cannot be built.
    """
    with _engine() as engine:
        events = engine.api.build(
            path=str(folder),
            dockerfile=str(dockerfile),
            tag=name,
            buildargs=dict(arguments),
            platform=platform,
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
        )
        fix = (
            f"see that the base image is there for {platform} or can be pulled, and that the engine can run {platform} "
            "(on a machine of another kind it needs QEMU: docker run --privileged --rm tonistiigi/binfmt --install all)"
        )
        _follow(events, notify, "built", fix)


def pinned(reference: str, platform: str) -> str:
    """Name a base image by what it is now, so that what is built from it is known.

    The registry is asked. Where it cannot be reached, what the engine has is named by the digest that it was pulled
    with, or, if it never was in a registry, by its id.

    Args:
        reference: Of the image; one that has a digest already stays as it is.
        platform: What the image is for.

    Raises:
        EngineError: No engine answers, or the image is neither in the registry nor there.
    """
    if "@sha256:" in reference:
        return reference
    with _engine() as engine:
        try:
            return f"{reference}@{engine.api.inspect_distribution(reference)['Descriptor']['digest']}"
        except DockerException:
            found = _local(engine, reference, platform)
    digests = found.get("RepoDigests") or []
    return str(digests[0] if digests else found["Id"])


def _local(engine: Any, reference: str, platform: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = engine.api.inspect_image(reference)
    except DockerException as error:
        fix = "see that it can be pulled, load it with `docker load`, or name another with --base-image"
        message = f"the base image {reference} is neither in its registry nor here: {error}"
        raise EngineError(message, fix=fix) from error
    if f"{found.get('Os')}/{found.get('Architecture')}" != platform:
        fix = f"pull it for that: docker pull --platform {platform} {reference}"
        raise EngineError(f"the base image {reference} that is here is not for {platform}", fix=fix)
    return found


def push(repository: str, tag: str, login: Login, notify: Callable[[str], None]) -> None:
    """Push an image.

    Raises:
        EngineError: No engine answers, or the image cannot be pushed.
    """
    with _engine() as engine:
        credentials = {"username": login.username, "password": login.password}
        events = engine.api.push(repository, tag=tag, auth_config=credentials, stream=True, decode=True)
        _follow(events, notify, "pushed", "see that you may push there (ecr:PutImage and what goes with it)")


def _follow(events: Iterable[dict[str, Any]], notify: Callable[[str], None], verb: str, fix: str) -> None:
    """Hear what the engine does until it is done. It reports failure under an answer of 200."""
    said: deque[str] = deque(maxlen=_TAIL)
    for event in events:
        if "error" in event:
            output = "".join(f"\n  | {line}" for line in said)
            raise EngineError(f"the image cannot be {verb}: {event['error'].strip()}{output}", fix=fix)
        said.extend(line for line in str(event.get("stream", "")).splitlines() if line.strip())
        if words := _worth_telling(event):
            notify(words)


def _worth_telling(event: Mapping[str, Any]) -> str:
    """Steps of a build, and layers that have arrived; not every line and every percent."""
    line = str(event.get("stream", "")).strip()
    if line.startswith("Step "):
        return line.splitlines()[0]
    return f"layer {event['id']} pushed" if event.get("status") == "Pushed" else ""


@contextmanager
def _engine() -> Iterator[Any]:
    """An engine that answers; its library's errors become ours."""
    try:
        engine = docker.from_env(timeout=_SECONDS)
    except DockerException as error:
        raise EngineError(f"no Docker engine answers: {error}", fix=_NO_ENGINE) from error
    try:
        yield engine
    except (DockerException, OSError) as error:
        raise EngineError(f"the Docker engine refuses: {error}", fix=_NO_ENGINE) from error
    finally:
        engine.close()
