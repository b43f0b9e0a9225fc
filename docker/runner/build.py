"""Builds the runner's image from wheels, and looks whether it is what it should be. `nox -s image` runs this.

::

    gather wheels ─► docker build, without a network ─► run it once ─► look at it from within
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from wheelhouse import PLATFORMS, PYTHONS, gather, name_of, pins, version_of

HERE = Path(__file__).parent


def build(wheels: Sequence[Path], python: str, architecture: str, tag: str, context: Path) -> None:
    """Build the image and run it; ends the program where that fails."""
    platform = f"--platform=linux/{architecture}"
    need_base_image(f"python:{python}-slim", platform)
    gather(wheels, python, architecture, context)
    arguments = build_arguments(wheels, python)
    docker(
        "build", "--network=none", platform, *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        f"--tag={tag}", f"--file={HERE / 'Dockerfile'}", str(context),
    )  # fmt: skip
    run = ("run", "--rm", "--network=none", platform, tag)
    docker(*run)
    docker(*run, "python", "-c", (HERE / "check.py").read_text(), *pins(context))


def build_arguments(wheels: Sequence[Path], python: str) -> Mapping[str, str]:
    """What the Dockerfile is told."""
    versions = {name_of(wheel): version_of(wheel) for wheel in wheels}
    return {
        "PYTHON_VERSION": python,
        "RUNNER_VERSION": versions["scaler-batch-runner"],
        "PAYLOAD_VERSION": versions["scaler-batch-payload"],
    }


def need_base_image(name: str, platform: str) -> None:
    """End the program with the reason where the base image is neither here nor to be had."""
    if not (succeeds("image", "inspect", name) or succeeds("pull", platform, name)):
        sys.exit(f"There is no image {name} here, and it could not be pulled; docker/README.md says what to do.")


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
    parser.add_argument("--tag", required=True, help="what to call it")
    parser.add_argument("--context", required=True, type=Path, help="a folder to gather its wheels in, made anew")
    parser.add_argument("wheels", nargs=2, type=Path, help="the wheels of payload and runner")
    options = parser.parse_args()
    build(options.wheels, options.python, options.architecture, options.tag, options.context)


if __name__ == "__main__":
    main()
