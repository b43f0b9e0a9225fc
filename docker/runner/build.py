"""Builds the runner's image from wheels, and looks whether it is what it should be. `nox -s image` runs this.

::

    gather wheels ─► docker build, without a network ─► run it once ─► look at it from within
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from wheelhouse import PLATFORMS, PYTHONS, gather, name_of, pins, version_of

HERE = Path(__file__).parent
BASES = HERE / "bases.json"
"""The base image for each Python: by its digest, once `nox -s bases` has run where a registry can be reached."""

INSTALLED = HERE.parents[1] / ".ci" / "installed.py"
"""Tells, from within, what pip has installed in the image: for `.ci/sbom.py`."""

IN_PROVISION = HERE.parents[1] / "packages" / "provision" / "src" / "scaler_batch" / "provision" / "image"
"""What has the same files, for those who have no clone."""


def build(wheels: Sequence[Path], python: str, architecture: str, tag: str, context: Path, base: str | None) -> None:
    """Build the image and run it; ends the program where that fails."""
    platform = f"--platform=linux/{architecture}"
    base = base_image(base or json.loads(BASES.read_text())[python], platform)
    gather(wheels, python, architecture, context)
    arguments = build_arguments(wheels, python, base)
    print("base image", base, flush=True)
    docker(
        "build", "--network=none", platform, *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        f"--tag={tag}", f"--file={HERE / 'Dockerfile'}", str(context),
    )  # fmt: skip
    run = ("run", "--rm", "--network=none", platform, tag)
    docker(*run)
    docker(*run, "python", "-c", (HERE / "check.py").read_text(), *pins(context))
    look = ("docker", *run[:2], "--interactive", *run[2:], "python", "-")
    found = subprocess.run(look, input=INSTALLED.read_bytes(), stdout=subprocess.PIPE, check=True).stdout
    context.with_name("installed.json").write_bytes(found)


def build_arguments(wheels: Sequence[Path], python: str, base: str) -> Mapping[str, str]:
    """What the Dockerfile is told."""
    versions = {name_of(wheel): version_of(wheel) for wheel in wheels}
    return {
        "BASE_IMAGE": base,
        "IMAGE_PYTHON": python,
        "RUNNER_VERSION": versions["scaler-batch-runner"],
        "PAYLOAD_VERSION": versions["scaler-batch-payload"],
    }


def base_image(name: str, platform: str) -> str:
    """Name a base image by what it is: by its digest, or, if it never was in a registry, by its id.

    Ends the program with the reason where it is neither here nor to be had.
    """
    if not (succeeds("image", "inspect", name) or succeeds("pull", platform, name)):
        sys.exit(f"There is no image {name} here, and it could not be pulled; docker/README.md says what to do.")
    if "@sha256:" in name:
        return name
    (found,) = json.loads(subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=True).stdout)
    return str((found.get("RepoDigests") or [found["Id"]])[0])


def refresh() -> None:
    """Update the digests of the base images in the table to what their registry has now."""
    table = json.loads(BASES.read_text())
    for python, reference in table.items():
        name = reference.partition("@")[0]
        docker("pull", "--quiet", name)
        digest = base_image(name, "").rpartition("@")[2]
        table[python] = f"{name}@{digest}"
    text = json.dumps(table, indent=2) + "\n"
    for place in (BASES, IN_PROVISION / BASES.name):
        place.write_text(text)


def docker(*arguments: str) -> None:
    """Run Docker's command line; its failure ends the program."""
    print("docker", *arguments[:2], flush=True)
    done = subprocess.run(["docker", *arguments], check=False)
    if done.returncode:
        sys.exit(f"docker {arguments[0]} failed with exit code {done.returncode}")


def succeeds(*arguments: str) -> bool:
    """Whether Docker's command line says yes; what else it says is of no interest."""
    done = subprocess.run(["docker", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def main() -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description="Build the runner's image.")
    parser.add_argument("--python", choices=PYTHONS, default="3.12", help="the image's Python (default: %(default)s)")
    parser.add_argument(
        "--architecture", choices=PLATFORMS, default="amd64", help="of the instances (default: %(default)s)"
    )
    parser.add_argument("--base", help="what it is made from (default: what bases.json says)")
    parser.add_argument("--tag", required=True, help="what to call it")
    parser.add_argument("--context", required=True, type=Path, help="a folder to gather its wheels in, made anew")
    parser.add_argument("wheels", nargs=2, type=Path, help="the wheels of payload and runner")
    options = parser.parse_args()
    build(options.wheels, options.python, options.architecture, options.tag, options.context, options.base)


if __name__ == "__main__":
    refresh() if sys.argv[1:] == ["--refresh"] else main()
