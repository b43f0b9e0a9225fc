"""Attacks on what goes into the image of jobs, and on what jobs are given: wheels, an index, tags, secrets."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.provision import Files, Kind, ProvisionError, Settings, SettingsError, cleanup, provision
from scaler_batch.provision.image import wheels
from scaler_batch.provision.resources.repository import Login

HONEST, EVIL = b"honest", b"evil"
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": f"sha256:{'0' * 64}",
    },
}


def make_wheel(folder: Path, name: str, version: str, code: bytes) -> Path:
    """A wheel that pip takes."""
    about = f"{name}-{version}.dist-info"
    content = {
        f"{name}_code.py": code,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, data in content.items():
            archive.writestr(place, data)
        archive.writestr(f"{about}/RECORD", "".join(f"{place},,\n" for place in [*content, f"{about}/RECORD"]))
    return path


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """Our two wheels, and the list of their hashes."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    made = [make_wheel(folder, name, "0.1.0", HONEST) for name in ("scaler_batch_payload", "scaler_batch_runner")]
    lines = [f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n" for one in made]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return folder


class Index:
    """A package index on this machine, whose owner has registered our names."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        index = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(self.path)
                name = self.path.strip("/").split("/")[-1]
                if name.endswith(".whl"):
                    content, kind = (folder / name).read_bytes(), "application/octet-stream"
                else:
                    wanted = name.replace("-", "_")
                    links = [f'<a href="/files/{one.name}">{one.name}</a>' for one in folder.glob(f"{wanted}-*.whl")]
                    content, kind = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode(), "text/html"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"


@pytest.fixture
def squatted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """pip's index is one where somebody else owns our names, with higher versions and with the same one."""
    folder = tmp_path / "squatted"
    folder.mkdir()
    for name in ("scaler_batch_payload", "scaler_batch_runner"):
        for version in ("0.1.0", "0.1.99"):
            make_wheel(folder, name, version, EVIL)
    index = Index(folder)
    thread = threading.Thread(target=index.server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    yield index
    index.server.shutdown()
    index.server.server_close()
    thread.join()


def evil_in(context: wheels.Context) -> bool:
    """Whether one of the wheels that would go into the image is the attacker's."""
    return any(EVIL in zipfile.ZipFile(context.folder / one.file).read(f"{one.name.replace('-', '_')}_code.py")
               for one in (context.payload, context.runner))  # fmt: skip


def test_a_newer_wheel_in_the_wheelhouse_does_not_go_into_the_image(wheelhouse: Path) -> None:
    make_wheel(wheelhouse, "scaler_batch_runner", "0.1.1", EVIL)
    make_wheel(wheelhouse, "scaler_batch_payload", "0.1.1", EVIL)
    context = wheels.find(wheelhouse, "3.12")
    assert (context.runner.version, context.payload.version, evil_in(context)) == ("0.1.0", "0.1.0", False)


def test_a_wheel_of_the_same_version_and_other_content_is_refused(wheelhouse: Path) -> None:
    honest = (wheelhouse / "scaler_batch_runner-0.1.0-py3-none-any.whl").read_bytes()
    evil = make_wheel(wheelhouse, "scaler_batch_runner", "0.1.0", EVIL)
    with pytest.raises(SettingsError, match="not what the list of hashes names"):
        wheels.find(wheelhouse, "3.12")
    evil.write_bytes(honest)
    assert not evil_in(wheels.find(wheelhouse, "3.12"))


def test_who_registers_our_names_on_an_index_is_not_asked(
    squatted: Index, wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "squatted")  # where no wheelhouse is
    with pytest.raises(SettingsError, match="no folder wheelhouse"):
        wheels.find(None, "3.12")
    assert squatted.asked == []
    assert not evil_in(wheels.find(wheelhouse, "3.12"))


def test_an_index_gives_nothing_but_what_the_hashes_name(
    squatted: Index, wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProvisionError, match="pip cannot fetch"):
        wheels.find(None, "3.12", from_index=True, hashes=wheelhouse / "SHA256SUMS")
    assert squatted.asked, "the index was asked, as was wanted"
    for wheel in wheelhouse.glob("*.whl"):
        (tmp_path / "squatted" / wheel.name).write_bytes(wheel.read_bytes())
    assert not evil_in(wheels.find(None, "3.12", from_index=True, hashes=wheelhouse / "SHA256SUMS"))


def test_our_names_in_a_constraints_file_are_not_looked_up_on_an_index(
    squatted: Index, wheelhouse: Path, tmp_path: Path
) -> None:
    """As ``noxfile.py`` has it: a constraint names the wheel that was just built, and a higher version is offered."""
    honest = list(wheelhouse.glob("*.whl"))
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("".join(f"{one.name.split('-')[0]} @ {one.as_uri()}\n" for one in honest))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path / "there")]
    options = ["--constraint", str(constraints), "scaler-batch-payload", "scaler-batch-runner"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    found = {path.read_bytes() for path in (tmp_path / "there").glob("*_code.py")}
    assert (found, squatted.asked) == ({HONEST}, [])


class Pushed:
    """An image that is pushed as an engine would push it."""

    tag = "built-1"

    def __init__(self, ecr: Any) -> None:
        self._ecr = ecr

    def check(self) -> None: ...

    def push(self, repository: str, login: Login) -> None:
        name = repository.partition("/")[2].partition(":")[0]
        self._ecr.put_image(repositoryName=name, imageManifest=manifest(HONEST), imageTag=self.tag)


def manifest(content: bytes) -> str:
    layer = {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": 1, "mediaType": "x"}
    return json.dumps({**MANIFEST, "layers": [layer]})


@pytest.fixture(scope="module")
def enforcing() -> Iterator[LocalAWS]:
    """An AWS that enforces what policies say."""
    with LocalAWS(LocalSettings(enforce_iam=True)) as aws:
        yield aws


def owner(aws: LocalAWS) -> dict[str, Any]:
    keys = {"AWS_ACCESS_KEY_ID": "aws_access_key_id", "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
    session = boto3.Session(**{argument: aws.environment[name] for name, argument in keys.items()})
    return {"session": session, "endpoint_url": aws.endpoint_url}


def test_a_tag_that_is_swapped_does_not_change_what_jobs_run(enforcing: LocalAWS, tmp_path: Path) -> None:
    ecr, batch = enforcing.client("ecr"), enforcing.client("batch")
    files = Files(config=tmp_path / "config.json", env=tmp_path / "env")
    settings = Settings(prefix="swap")
    made = provision(settings, image=Pushed(ecr), files=files, **owner(enforcing))
    name = made.resources[Kind.REPOSITORY].name
    (honest,) = ecr.describe_images(repositoryName=name)["imageDetails"]
    with pytest.raises(ClientError, match="already exists"):
        ecr.put_image(repositoryName=name, imageManifest=manifest(EVIL), imageTag=Pushed.tag)
    # Whoever may also make tags movable swaps it: the definition names the image, not the tag.
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    ecr.put_image(repositoryName=name, imageManifest=manifest(EVIL), imageTag=Pushed.tag)
    (definition,) = batch.describe_job_definitions(jobDefinitionName=made.job_definition, status="ACTIVE")[
        "jobDefinitions"
    ]
    assert definition["containerProperties"]["image"].endswith(f"/{name}@{honest['imageDigest']}")
    assert cleanup(settings.target, files=files, **owner(enforcing)).complete


def run(aws: LocalAWS, queue: str, definition: str) -> tuple[str, str, list[str]]:
    """Run a job that prints the key it was given: status, reason, and what it printed."""
    batch, logs = aws.client("batch"), aws.client("logs")
    command = [sys.executable, "-c", "import os; print(os.environ['SCALER_BATCH_PAYLOAD_KEY'])"]
    job = batch.submit_job(
        jobName="x", jobQueue=queue, jobDefinition=definition, containerOverrides={"command": command}
    )["jobId"]
    while (found := batch.describe_jobs(jobs=[job])["jobs"][0])["status"] not in ("SUCCEEDED", "FAILED"):
        time.sleep(0.02)
    group = found["container"]["logConfiguration"]["options"]["awslogs-group"]
    printed: list[str] = []
    with contextlib.suppress(ClientError, KeyError):
        stream = found["container"]["logStreamName"]
        events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        printed = [one["message"] for one in events]
    return found["status"], found["container"].get("reason", ""), printed


def test_the_payload_key_of_another_prefix_is_out_of_reach(enforcing: LocalAWS, tmp_path: Path) -> None:
    batch, ssm = enforcing.client("batch"), enforcing.client("ssm")
    made = {}
    for prefix in ("victim", "mallory"):
        (tmp_path / prefix).mkdir()
        files = Files(config=tmp_path / prefix / "config.json", env=tmp_path / prefix / "env")
        settings = Settings(image="local/scaler-batch", prefix=prefix, payload_key=True)
        made[prefix] = provision(settings, files=files, **owner(enforcing)), files
    victim, mallory = made["victim"][0], made["mallory"][0]
    key = ssm.get_parameter(Name="/victim/payload-key", WithDecryption=True)["Parameter"]["Value"]

    (own,) = batch.describe_job_definitions(jobDefinitionName=mallory.job_definition, status="ACTIVE")["jobDefinitions"]
    container = own["containerProperties"]
    stolen = [{"name": "SCALER_BATCH_PAYLOAD_KEY", "valueFrom": victim.resources[Kind.PAYLOAD_KEY].arn}]
    crafted = {
        **{name: container[name] for name in ("image", "resourceRequirements", "jobRoleArn", "executionRoleArn")},
        "logConfiguration": container["logConfiguration"],
        "secrets": stolen,
    }
    batch.register_job_definition(jobDefinitionName="crafted", type="container", containerProperties=crafted)
    status, reason, printed = run(enforcing, mallory.job_queue, "crafted")
    assert (status, key in str(printed)) == ("FAILED", False)
    assert "is not authorized to perform: ssm:GetParameters" in reason

    status, _, printed = run(enforcing, victim.job_queue, victim.job_definition)
    assert (status, printed) == ("SUCCEEDED", [key]), "the victim's own jobs have it"
    for resources, files in made.values():
        assert cleanup(resources.target, files=files, **owner(enforcing)).complete
    assert [one["Name"] for one in ssm.describe_parameters()["Parameters"]] == []
