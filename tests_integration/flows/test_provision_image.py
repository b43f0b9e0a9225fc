"""The image of our own, built by the Docker engine of this machine and pushed to a registry of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from inventory import everything
from scaler_batch.local import LocalAWS
from scaler_batch.provision import Kind, Settings, Target, cleanup, provision
from scaler_batch.provision.image.source import BuiltImage
from stack import Part, answers, free_port

WHEELS = Path(__file__).parents[2] / "wheelhouse"
"""Where `nox -s build` puts the wheels of this repository."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a registry of this machine, which a Docker engine takes without TLS."""
    program = shutil.which("docker-registry")
    if not WHEELS.is_dir() or program is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("needs a Docker engine, the program docker-registry, and the wheels of `nox -s build`")
    place, address = tmp_path_factory.mktemp("registry"), f"127.0.0.1:{free_port()}"
    storage = {"filesystem": {"rootdirectory": str(place / "images")}, "delete": {"enabled": True}}
    configuration = {"version": 0.1, "log": {"level": "warn"}, "storage": storage, "http": {"addr": address}}
    (place / "registry.yml").write_text(json.dumps(configuration))
    part = Part("registry", [program, "serve", str(place / "registry.yml")], dict(os.environ), place)
    try:
        part.wait_until(lambda: answers(int(address.rpartition(":")[2])))
        yield address
    finally:
        part.stop()


class Elsewhere:
    """ECR, whose repositories lie in another registry: the local AWS keeps manifests, and no images."""

    def __init__(self, session: boto3.Session, ecr: Any, registry: str) -> None:
        self.registry = registry
        self._ecr = ecr
        session.events.register("after-call.ecr.DescribeRepositories", self._relocate)
        session.events.register("before-call.ecr.DescribeImages", self._take_over)

    def image(self, name: str, tag: str) -> dict[str, Any]:
        """What the registry has under this tag: the configuration of the image."""
        manifest = json.loads(self._get(f"{name}/manifests/{tag}"))
        return dict(json.loads(self._get(f"{name}/blobs/{manifest['config']['digest']}")))

    def _relocate(self, parsed: dict[str, Any], **_: Any) -> None:
        for repository in parsed.get("repositories", []):
            repository["repositoryUri"] = f"{self.registry}/{repository['repositoryName']}"

    def _take_over(self, params: dict[str, Any], **_: Any) -> None:
        """Enter in ECR what was pushed."""
        asked = json.loads(params["body"])
        name, tag = asked["repositoryName"], asked["imageIds"][0]["imageTag"]
        with contextlib.suppress(urllib.error.HTTPError, self._ecr.exceptions.ImageAlreadyExistsException):
            manifest = self._get(f"{name}/manifests/{tag}").decode()
            self._ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)

    def _get(self, what: str) -> bytes:
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        request = urllib.request.Request(f"http://{self.registry}/v2/{what}", headers=accept)
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())


def test_an_image_is_built_by_a_real_engine_and_pushed_to_a_registry(registry: str) -> None:
    with LocalAWS() as aws:
        session = boto3.Session(
            aws_access_key_id=aws.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws.environment["AWS_SECRET_ACCESS_KEY"],
        )
        before = everything(aws.client)
        elsewhere = Elsewhere(session, aws.client("ecr"), registry)
        steps: list[str] = []
        image = BuiltImage.of(WHEELS, "3.12", steps.append)
        try:
            made = provision(Settings(), session, image=image, endpoint_url=aws.endpoint_url)
            assert made.changed[0] is Kind.REPOSITORY
            assert any(step.startswith("Step ") for step in steps)
            assert any(step.endswith(" pushed") for step in steps)
            labels = elsewhere.image("scaler-batch-runner", image.tag)["config"]["Labels"]
            assert labels["scaler-batch.python"] == "3.12"
            (definition,) = aws.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
            assert definition["containerProperties"]["image"].endswith(f"/scaler-batch-runner:{image.tag}")
            steps.clear()
            again = provision(Settings(), session, image=image, endpoint_url=aws.endpoint_url, nonce=made.nonce)
            assert again.changed == ()
            assert steps == [], "what is there is not built again"
            assert "--sequence" in fetched_and_run(f"{registry}/scaler-batch-runner:{image.tag}")
        finally:
            remove_image(f"{registry}/scaler-batch-runner:{image.tag}")
        assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, nonce=made.nonce).complete
        assert everything(aws.client) == before


def remove_image(image: str) -> None:
    """Remove what was built here, where it was built."""
    subprocess.run(["docker", "image", "rm", image], capture_output=True)


def fetched_and_run(image: str) -> str:
    """What the image says, fetched from its registry anew."""
    remove_image(image)
    done = subprocess.run(["docker", "run", "--rm", "--network", "none", image], capture_output=True, text=True)
    return done.stdout + done.stderr
