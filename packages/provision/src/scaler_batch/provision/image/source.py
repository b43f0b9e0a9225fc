"""The image that provisioning brings about: built when it is not in the repository yet, and pushed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.resources import as_file
from pathlib import Path
from typing import TYPE_CHECKING

from scaler_batch.provision.image import wheels
from scaler_batch.provision.instance_types import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_batch.provision.image.wheels import Context
    from scaler_batch.provision.resources.repository import Login


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that is built from wheels; an :class:`~scaler_batch.provision.resources.repository.ImageSource`.

    Attributes:
        context: What it is built from.
        notify: Told of each step.
    """

    context: Context
    notify: Callable[[str], None]

    @classmethod
    def of(
        cls,
        folder: Path | None,
        python: str,
        notify: Callable[[str], None],
        *,
        architecture: Architecture = Architecture.AMD64,
        hashes: Path | None = None,
        from_index: bool = False,
        base: str | None = None,
    ) -> BuiltImage:
        """Find what to build from.

        Args:
            folder: Holds the wheels of runner and payload; without it those of ``wheelhouse``.
            python: The image's Python.
            notify: Told of each step.
            architecture: Of the processors that the image is for.
            hashes: The list of hashes that names the wheels; without it that in the folder.
            from_index: Fetch the wheels that the list names from the index that pip is set up for.
            base: The base image, by its digest; without it that of the table.

        Raises:
            SettingsError: The wheels are not there, or not those that the list names.
            EngineError: They cannot be fetched.
        """
        found = wheels.find(folder, python, architecture, hashes=hashes, from_index=from_index, base=base)
        return cls(found, notify)

    @property
    def tag(self) -> str:
        """The tag, before anything is built."""
        return self.context.tag

    def check(self) -> None:
        """See that an engine answers."""
        # Its library takes a third of a second to import, and most commands need none of it.
        from scaler_batch.provision.image import engine

        engine.check()

    def push(self, repository: str, login: Login) -> None:
        """Build the image and push it."""
        from scaler_batch.provision.image import engine

        with tempfile.TemporaryDirectory() as folder, as_file(wheels.dockerfile()) as dockerfile:
            self.notify("fetching wheels")
            self.context.lay_out(Path(folder))
            name = f"{repository}:{self.tag}"
            platform = self.context.architecture.platform
            arguments = self.context.arguments(engine.pinned(self.context.base, platform))
            self.notify(f"base image {arguments['BASE_IMAGE']}")
            engine.build(Path(folder), dockerfile, name, arguments, self.notify, platform=platform)
        engine.push(repository, self.tag, login, self.notify)
