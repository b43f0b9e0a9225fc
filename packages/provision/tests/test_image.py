"""The image of our own: what it is built from, when it is built, and what stands in the way."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scaler_batch.provision import (
    ConflictError,
    EngineError,
    Files,
    Kind,
    Settings,
    SettingsError,
    Target,
    build_image,
    cleanup,
    cli,
    plan_provision,
    provision,
)
from scaler_batch.provision.image import engine, wheels
from scaler_batch.provision.image.source import BuiltImage
from scaler_batch.provision.instance_types import Architecture
from scaler_batch.provision.resources.repository import Login

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3

    Everything = Callable[[], dict[str, list[str]]]

pytestmark = pytest.mark.long

MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"digest": "sha256:x"},
    "layers": [],
}
CALLS = ["CreateRepository", "PutLifecyclePolicy", "PutImage"]
"""Of a first run, before all others."""


@dataclass
class Pushed:
    """An image that is pushed without being built. To ECR it is one call, as it is to whoever watches the calls."""

    aws: boto3.Session
    tag: str = "1"
    error: Exception | None = None
    logins: list[Login] = field(default_factory=list)

    def check(self) -> None:
        if self.error:
            raise self.error

    def push(self, repository: str, login: Login) -> None:
        self.logins.append(login)
        ecr = self.aws.client("ecr", region_name="us-east-1")
        name = repository.partition("/")[2]
        ecr.put_image(repositoryName=name, imageManifest=manifest(self.tag), imageTag=self.tag)


def manifest(content: str) -> str:
    """An image of a layer that differs with the content, by which alone moto knows images."""
    layer = {"digest": f"sha256:{sha256(content.encode()).hexdigest()}", "size": 1}
    return json.dumps({**MANIFEST, "layers": [layer]})


@pytest.fixture
def image(aws: boto3.Session) -> Pushed:
    return Pushed(aws)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(config=tmp_path / "config.json", env=tmp_path / "env")


def ecr_of(aws: boto3.Session) -> Any:
    return aws.client("ecr", region_name="us-east-1")


def test_without_an_image_one_is_pushed_and_used(aws: boto3.Session, image: Pushed, calls: Any) -> None:
    made = provision(Settings(), aws, image=image)
    assert calls.made[:3] == CALLS
    on_request = (Kind.PAYLOAD_KEY, Kind.SPOT_ENVIRONMENT, Kind.SCHEDULING_POLICY)
    assert made.changed == tuple(one for one in Kind if one not in on_request)
    batch = aws.client("batch", region_name="us-east-1")
    (definition,) = batch.describe_job_definitions()["jobDefinitions"]
    repository = "123456789012.dkr.ecr.us-east-1.amazonaws.com/scaler-batch-runner"
    assert definition["containerProperties"]["image"] == f"{repository}@{digest_of(aws, '1')}"
    assert [login.username for login in image.logins] == ["AWS"]
    assert provision(Settings(), aws, image=image).changed == ()


def digest_of(aws: boto3.Session, tag: str) -> str:
    found = ecr_of(aws).describe_images(repositoryName="scaler-batch-runner", imageIds=[{"imageTag": tag}])
    return str(found["imageDetails"][0]["imageDigest"])


def test_the_plan_names_the_tag_and_the_definition_the_digest(aws: boto3.Session, image: Pushed) -> None:
    planned = plan_provision(Settings(), aws, image=image)
    (step,) = [step for step in planned.steps if step.wanted.kind is Kind.JOB_DEFINITION]
    assert step.wanted.specification.image.endswith("/scaler-batch-runner:1"), "its digest is not known yet"
    provision(Settings(), aws, image=image)
    planned = plan_provision(Settings(), aws, image=image)
    (step,) = [step for step in planned.steps if step.wanted.kind is Kind.JOB_DEFINITION]
    assert step.wanted.specification.image.endswith(f"/scaler-batch-runner@{digest_of(aws, '1')}")
    assert planned.pending == ()


def test_tags_of_the_repository_stay_with_their_images(aws: boto3.Session, image: Pushed) -> None:
    provision(Settings(), aws, image=image)
    name, before = "scaler-batch-runner", digest_of(aws, "1")
    with pytest.raises(ClientError, match="already exists"):
        ecr_of(aws).put_image(repositoryName=name, imageManifest=manifest("evil"), imageTag="1")
    assert digest_of(aws, "1") == before
    ecr_of(aws).put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    (step,) = plan_provision(Settings(), aws, image=image).pending
    assert step.fields == ("tags_are_fixed",)
    provision(Settings(), aws, image=image)
    (repository,) = ecr_of(aws).describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"


def test_the_repository_scans_and_forgets(aws: boto3.Session, image: Pushed) -> None:
    provision(Settings(), aws, image=image)
    (repository,) = ecr_of(aws).describe_repositories()["repositories"]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = ecr_of(aws).get_lifecycle_policy(repositoryName="scaler-batch-runner")["lifecyclePolicyText"]
    (rule,) = json.loads(policy)["rules"]
    assert (rule["selection"]["countType"], rule["selection"]["countNumber"]) == ("imageCountMoreThan", 3)
    assert (rule["selection"]["tagStatus"], rule["selection"]["tagPrefixList"]) == ("tagged", ["built-"])
    tags = ecr_of(aws).list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
    assert {tag["Key"] for tag in tags} == {f"scaler-batch:{key}" for key in ("prefix", "nonce", "version")}


def test_other_content_is_another_image_and_a_new_revision(aws: boto3.Session, image: Pushed) -> None:
    provision(Settings(), aws, image=image)
    image.tag = "2"
    assert provision(Settings(), aws, image=image).changed == (Kind.REPOSITORY, Kind.JOB_DEFINITION)
    image.tag = "1"
    assert provision(Settings(), aws, image=image).changed == (Kind.JOB_DEFINITION,), "it is there still"


def test_what_somebody_changed_by_hand_is_changed_back(aws: boto3.Session, image: Pushed) -> None:
    provision(Settings(), aws, image=image)
    name = "scaler-batch-runner"
    ecr_of(aws).put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={"scanOnPush": False})
    ecr_of(aws).delete_lifecycle_policy(repositoryName=name)
    (arn,) = [one["repositoryArn"] for one in ecr_of(aws).describe_repositories()["repositories"]]
    (step,) = plan_provision(Settings(tags={"team": "t"}), aws, image=image).steps[:1]
    assert set(step.fields) == {"scan_on_push", "kept_images", "tags"}
    provision(Settings(tags={"team": "t"}), aws, image=image)
    assert {"Key": "team", "Value": "t"} in ecr_of(aws).list_tags_for_resource(resourceArn=arn)["tags"]
    assert provision(Settings(tags={"team": "t"}), aws, image=image).changed == ()


@pytest.mark.parametrize("last", range(1, len(CALLS) + 1))
def test_an_interrupted_build_is_completed_or_cleaned_up(
    last: int, aws: boto3.Session, image: Pushed, calls: Any, files: Files, everything: Everything
) -> None:
    before = everything()
    for completed in (True, False):
        calls.made.clear()
        calls.cut_after = last
        with pytest.raises(BaseException) as cut:  # noqa: PT011
            provision(Settings(), aws, image=image, files=files)
        assert type(cut.value).__name__ == "Interruption"
        calls.cut_after = None
        if completed:
            provision(Settings(), aws, image=image, files=files)
            assert calls.made.count("PutImage") == calls.made.count("CreateRepository") == 1
        assert cleanup(Target(), aws, files=files).complete
        assert everything() == before
        assert list(files.config.parent.iterdir()) == []


def test_an_interrupted_cleanup_is_completed_by_the_next(
    aws: boto3.Session, image: Pushed, calls: Any, files: Files, everything: Everything
) -> None:
    before = everything()
    provision(Settings(), aws, image=image, files=files)
    calls.made.clear()
    cleanup_until_it_is_cut("DeleteRepository", aws, files)
    assert cleanup(Target(), aws, files=files).complete
    assert everything() == before
    assert list(files.config.parent.iterdir()) == []


def cleanup_until_it_is_cut(operation: str, aws: boto3.Session, files: Files) -> None:
    """Clean up until AWS has done this, and nobody has heard of it."""

    def cut(model: Any, **_: Any) -> None:
        if model.name == operation:
            aws.events.unregister("after-call", cut)
            raise KeyboardInterrupt

    aws.events.register("after-call", cut)
    with pytest.raises(KeyboardInterrupt):
        cleanup(Target(), aws, files=files)


def test_a_repository_that_is_not_ours_stops_everything(aws: boto3.Session, image: Pushed, calls: Any) -> None:
    ecr_of(aws).create_repository(repositoryName="scaler-batch-runner")
    calls.made.clear()
    for attempt in (lambda: provision(Settings(), aws, image=image), lambda: build_image(Target(), aws, image)):
        with pytest.raises(ConflictError, match="repository scaler-batch-runner"):
            attempt()
    assert (calls.made, image.logins) == ([], [])
    assert cleanup(Target(), aws).foreign == ((Kind.REPOSITORY, "scaler-batch-runner"),)


def test_a_repository_goes_with_all_its_images(aws: boto3.Session, image: Pushed, everything: Everything) -> None:
    before = everything()
    provision(Settings(), aws, image=image)
    report = cleanup(Target(), aws)
    assert report.removed[-1] == (Kind.REPOSITORY, "scaler-batch-runner")
    assert everything() == before


def test_an_image_that_is_named_builds_none_and_leaves_the_one_there(aws: boto3.Session, image: Pushed) -> None:
    provision(Settings(), aws, image=image)
    image.error = EngineError("no engine", fix="x")
    assert provision(Settings(image="other:1"), aws, image=image).changed == (Kind.JOB_DEFINITION,)
    assert cleanup(Target(), aws).removed[-1][0] is Kind.REPOSITORY


def test_without_an_engine_nothing_is_made(aws: boto3.Session, image: Pushed, calls: Any) -> None:
    image.error = EngineError("no Docker engine answers", fix="start Docker")
    with pytest.raises(EngineError, match="no Docker engine"):
        provision(Settings(), aws, image=image)
    assert calls.made == []


def test_neither_an_image_nor_a_way_to_build_one_is_refused(aws: boto3.Session, calls: Any) -> None:
    with pytest.raises(SettingsError, match="none is to be built") as error:
        provision(Settings(), aws)
    assert ("--image" in error.value.fix, calls.made) == (True, [])


def test_an_engine_is_not_needed_for_an_image_that_is_there(aws: boto3.Session, image: Pushed) -> None:
    provision(Settings(), aws, image=image)
    image.error = EngineError("no Docker engine answers", fix="start Docker")
    assert provision(Settings(), aws, image=image).changed == ()


def test_an_image_can_be_built_alone(aws: boto3.Session, image: Pushed, calls: Any) -> None:
    first = build_image(Target(), aws, image, tags={"team": "t"})
    repository = "123456789012.dkr.ecr.us-east-1.amazonaws.com/scaler-batch-runner"
    assert (first.image, first.tag, first.built) == (f"{repository}@{digest_of(aws, '1')}", "1", True)
    assert calls.made == CALLS
    assert build_image(Target(), aws, image, tags={"team": "t"}).built is False
    made = provision(Settings(tags={"team": "t"}), aws, image=image)
    assert Kind.REPOSITORY not in made.changed


# What it is built from


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with wheels of ours; their content is of no matter here."""
    place = tmp_path / "wheels"
    place.mkdir()
    for name in ("scaler_batch_payload", "scaler_batch_runner"):
        (place / f"{name}-0.1.0-py3-none-any.whl").write_bytes(name.encode())
    write_hashes(place)
    return place


def write_hashes(place: Path) -> None:
    """As ``sha256sum *.whl > SHA256SUMS`` does."""
    lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(place.glob("*.whl"))]
    (place / "SHA256SUMS").write_text("".join(lines))


def test_the_tag_follows_from_the_content(folder: Path) -> None:
    tag = wheels.find(folder, "3.12").tag
    assert tag.startswith("built-0.1.0-py3.12-amd64-")
    assert wheels.find(folder, "3.12").tag == tag
    assert wheels.find(folder, "3.13").tag != tag
    (folder / "scaler_batch_runner-0.1.0-py3-none-any.whl").write_bytes(b"other")
    write_hashes(folder)
    assert wheels.find(folder, "3.12").tag != tag
    assert wheels.find(folder, "3.12", base=BASE).tag != wheels.find(folder, "3.12").tag


@pytest.mark.parametrize(
    "name", ["scaler_batch_runner-0.1.0-py3-none-any.whl", "scaler_batch_payload-0.1.0-py3-none-any.whl"]
)
def test_a_wheel_of_other_content_than_the_list_names_is_refused(name: str, folder: Path) -> None:
    (folder / name).write_bytes(b"evil")
    with pytest.raises(SettingsError, match="not what the list of hashes names") as error:
        wheels.find(folder, "3.12")
    assert sha256(b"evil").hexdigest() in str(error.value)


def test_a_newer_wheel_that_the_list_does_not_name_is_not_looked_at(folder: Path) -> None:
    before = wheels.find(folder, "3.12")
    (folder / "scaler_batch_runner-99.0-py3-none-any.whl").write_bytes(b"evil")
    assert wheels.find(folder, "3.12") == before


def test_a_wheel_that_is_exchanged_while_the_image_is_built_is_found_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wheels, "_run", lambda _: None)
    context = wheels.find(folder, "3.12")
    (folder / context.runner.file).write_bytes(b"evil")
    (tmp_path / "context").mkdir()
    with pytest.raises(SettingsError, match="not what the list of hashes names"):
        context.lay_out(tmp_path / "context")


@pytest.mark.parametrize("damage", ["", "nonsense\n", "twice"])
def test_a_list_that_does_not_name_each_wheel_once_is_refused(damage: str, folder: Path) -> None:
    text = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(text * 2 if damage == "twice" else damage)
    with pytest.raises(SettingsError, match=r"names [02] wheels of scaler-batch-payload") as error:
        wheels.find(folder, "3.12")
    assert "sha256sum" in error.value.fix


def test_a_list_elsewhere_goes_over_that_in_the_folder(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "trusted"
    (folder / "SHA256SUMS").rename(elsewhere)
    (folder / "scaler_batch_runner-0.1.0-py3-none-any.whl").write_bytes(b"evil")
    write_hashes(folder)
    with pytest.raises(SettingsError, match="not what the list"):
        wheels.find(folder, "3.12", hashes=elsewhere)


def test_no_index_is_asked_for_our_names_unless_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    commands: list[list[str]] = []
    monkeypatch.setattr(wheels, "_run", commands.append)
    with pytest.raises(SettingsError, match="no folder wheelhouse") as error:
        wheels.find(None, "3.12")
    assert "--from-index" in error.value.fix
    with pytest.raises(SettingsError, match="known by its hashes"):
        wheels.find(None, "3.12", from_index=True)
    assert commands == []
    with pytest.raises(SettingsError, match=r"there is no scaler_batch_payload-0\.1\.0"):
        wheels.find(None, "3.12", from_index=True, hashes=folder / "SHA256SUMS")
    (command,) = commands
    assert "--require-hashes" in command


BASE = f"registry.test/python:3.12@sha256:{'a' * 64}"


@pytest.mark.parametrize("base", ["python:3.12-slim", "python", "python@sha256:abc", "docker://python"])
def test_a_base_image_is_named_by_its_digest(base: str, folder: Path) -> None:
    with pytest.raises(SettingsError, match="does not name an image by its digest") as error:
        wheels.find(folder, "3.12", base=base)
    assert "--base-image" in error.value.fix
    assert wheels.find(folder, "3.12", base=BASE).arguments(BASE)["BASE_IMAGE"] == BASE


def test_there_is_a_base_image_for_every_python(folder: Path) -> None:
    for python in wheels.PYTHONS:
        assert wheels.find(folder, python).base.startswith(f"python:{python}-slim")


def test_every_byte_of_the_image_is_pinned(folder: Path) -> None:
    requirements = wheels.find(folder, "3.12").requirements
    entries = [entry for entry in requirements.replace("\\\n", " ").splitlines() if not entry.startswith("#")]
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert any(entry.startswith("scaler-batch-payload[s3]==0.1.0") for entry in entries)
    assert any(entry.startswith("scaler-batch-runner==0.1.0") for entry in entries)


def test_the_dockerfile_takes_the_arguments_it_is_given(folder: Path) -> None:
    dockerfile = wheels.dockerfile().read_text()
    assert {f"ARG {name}" in dockerfile for name in wheels.find(folder, "3.12").arguments(BASE)} == {True}
    assert dockerfile.count("FROM ${BASE_IMAGE}") == dockerfile.count("FROM ")


@pytest.mark.parametrize(("python", "missing"), [("2.7", None), ("3.12", "runner"), ("3.12", "payload")])
def test_what_is_missing_is_refused_with_the_way_out(python: str, missing: str | None, folder: Path) -> None:
    if missing:
        (folder / f"scaler_batch_{missing}-0.1.0-py3-none-any.whl").unlink()
    with pytest.raises(SettingsError) as error:
        wheels.find(folder, python)
    assert "--wheels" in error.value.fix or "--python" in error.value.fix


def test_the_wheelhouse_of_a_clone_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.rename(folder.with_name("wheelhouse"))
    monkeypatch.chdir(folder.parent)
    assert wheels.find(None, "3.12").runner.version == "0.1.0"


def test_what_pip_cannot_fetch_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(EngineError, match="pip cannot fetch") as error:
        wheels.find(None, "3.12", from_index=True, hashes=folder / "SHA256SUMS")
    assert "pip wheel" in error.value.fix


@pytest.mark.parametrize(("architecture", "fetched"), [(Architecture.AMD64, "x86_64"), (Architecture.ARM64, "aarch64")])
def test_wheels_are_fetched_for_the_architecture_of_the_image(
    architecture: Architecture, fetched: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(wheels, "_run", commands.append)
    context = wheels.find(folder, "3.12", architecture)
    (folder.parent / "context").mkdir()
    context.lay_out(folder.parent / "context")
    (platforms,) = [{word for word in command if word.startswith("manylinux")} for command in commands]
    assert {one.split("_", 3)[3] for one in platforms} == {fetched}
    assert context.tag.split("-")[3] == architecture
    assert len({wheels.find(folder, "3.12", one).tag for one in Architecture}) == 2


def test_the_lock_has_a_wheel_for_each_architecture() -> None:
    """Of obstore; all others are of pure Python."""
    obstore = wheels.lock().read_text().partition("obstore==")[2].partition("\ntblib")[0]
    assert obstore.count("--hash=sha256:") == len(Architecture)


# The engine


class Engine:
    """A Docker engine that says what it is told to."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = events
        self.asked: dict[str, Any] = {}
        self.api = self

    def build(self, **asked: Any) -> Any:
        self.asked = asked
        return iter(self.events)

    def push(self, repository: str, **asked: Any) -> Any:
        self.asked = {"repository": repository, **asked}
        return iter(self.events)

    def close(self) -> None: ...


def use(monkeypatch: pytest.MonkeyPatch, found: Engine) -> Engine:
    monkeypatch.setattr(engine.docker, "from_env", lambda **_: found)
    return found


def test_a_build_fetches_nothing_and_tells_its_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    docker = use(monkeypatch, Engine({"stream": "Step 1/2 : FROM x\n"}, {"stream": "noise"}, {"aux": {}}))
    told: list[str] = []
    engine.build(tmp_path, tmp_path / "Dockerfile", "r:1", {"A": "b"}, told.append, platform="linux/arm64")
    assert told == ["Step 1/2 : FROM x"]
    assert docker.asked["platform"] == "linux/arm64"
    assert (docker.asked["network_mode"], docker.asked["buildargs"]) == ("none", {"A": "b"})


def test_a_push_hands_the_password_to_the_engine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = use(monkeypatch, Engine({"status": "Pushing", "id": "a"}, {"status": "Pushed", "id": "a"}))
    login, told = Login("AWS", "secret"), list[str]()
    engine.push("registry.test/r", "1", login, told.append)
    assert told == ["layer a pushed"]
    assert docker.asked["auth_config"] == {"username": "AWS", "password": "secret"}
    assert "secret" not in repr(login)


def test_what_fails_under_an_answer_of_200_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Engine({"stream": "the reason\n"}, {"error": "denied: no such repository"}))
    with pytest.raises(EngineError, match=r"denied: no such repository\n  \| the reason") as error:
        engine.push("registry.test/r", "1", Login("AWS", "secret"), print)
    assert "secret" not in str(error.value) + error.value.fix


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves its socket open
def test_where_no_engine_answers_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing")
    with pytest.raises(EngineError, match="no Docker engine answers") as error:
        engine.check()
    assert "--image" in error.value.fix
    del error
    gc.collect()


def test_an_engine_that_goes_away_in_the_midst_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Leaving(Engine):
        def build(self, **asked: Any) -> Any:
            raise ConnectionResetError("gone")

    use(monkeypatch, Leaving())
    with pytest.raises(EngineError, match="gone"):
        engine.build(tmp_path, tmp_path / "Dockerfile", "r:1", {}, print, platform="linux/amd64")


def test_building_lays_out_builds_and_pushes(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    steps: list[str] = []
    monkeypatch.setattr(wheels, "_fetch", lambda *_: steps.append("fetch"))
    monkeypatch.setattr(engine, "pinned", lambda reference, _: f"{reference}@sha256:0")
    monkeypatch.setattr(engine, "build", lambda where, *_, **__: steps.append(f"build {len(list(where.iterdir()))}"))
    monkeypatch.setattr(engine, "push", lambda repository, tag, *_: steps.append(f"push {repository}:{tag}"))
    image = BuiltImage.of(folder, "3.12", lambda _: None)
    image.push("registry.test/r", Login("AWS", "x"))
    assert steps == ["fetch", "build 3", f"push registry.test/r:{image.tag}"]


class Registry(Engine):
    """An engine that has, or can reach, a base image."""

    def __init__(self, *, distribution: str | None, image: dict[str, Any] | None) -> None:
        super().__init__()
        self._distribution, self._image = distribution, image

    def inspect_distribution(self, _: str) -> Any:
        if self._distribution is None:
            raise engine.DockerException("no registry")
        return {"Descriptor": {"digest": self._distribution}}

    def inspect_image(self, _: str) -> Any:
        if self._image is None:
            raise engine.DockerException("no such image")
        return {"Os": "linux", "Architecture": "amd64", **self._image}


@pytest.mark.parametrize(
    ("distribution", "image", "expected"),
    [
        ("sha256:new", {"RepoDigests": ["python@sha256:old"]}, "python:3.12-slim@sha256:new"),
        (None, {"RepoDigests": ["python@sha256:old"], "Id": "sha256:id"}, "python@sha256:old"),
        (None, {"RepoDigests": [], "Id": "sha256:id"}, "sha256:id"),
    ],
)
def test_a_base_image_without_a_digest_gets_the_one_that_it_has_now(
    distribution: str | None, image: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Registry(distribution=distribution, image=image))
    assert engine.pinned("python:3.12-slim", "linux/amd64") == expected


def test_a_base_image_that_is_pinned_stays_and_no_engine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Registry(distribution="sha256:other", image=None))
    assert engine.pinned(BASE, "linux/amd64") == BASE


@pytest.mark.parametrize(("image", "message"), [(None, "nor here"), ({"Architecture": "arm64", "Id": "x"}, "not for")])
def test_a_base_image_that_is_nowhere_or_of_another_kind_is_refused(
    image: dict[str, Any] | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Registry(distribution=None, image=image))
    with pytest.raises(EngineError, match=message) as error:
        engine.pinned("python:3.12-slim", "linux/amd64")
    assert "docker" in error.value.fix


# The command line


@pytest.fixture
def account(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> boto3.Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "open_session", lambda _: aws)
    return aws


def test_the_command_line_builds_what_is_not_named(
    account: boto3.Session, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(BuiltImage, "check", lambda _: None)
    monkeypatch.setattr(BuiltImage, "push", lambda self, uri, login: Pushed(account, self.tag).push(uri, login))
    assert cli.main(["build-image", "--wheels", str(folder)]) == 0
    uri = capsys.readouterr().out.splitlines()[-1]
    assert uri.startswith("123456789012.dkr.ecr.us-east-1.amazonaws.com/scaler-batch-runner@sha256:")
    assert cli.main(["build-image", "--wheels", str(folder), "--json"]) == 0
    tag = wheels.find(folder, "3.12").tag
    assert tag.startswith("built-0.1.0-py3.12-amd64-")
    assert json.loads(capsys.readouterr().out) == {"image": uri, "tag": tag, "built": False}
    assert cli.main(["provision", "--wheels", str(folder)]) == 0
    assert "11 of 12 resources made or changed" in capsys.readouterr().out
    assert cli.main(["plan", "--wheels", str(folder), "--python", "3.13", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pending"] == 2


def test_importing_the_command_line_imports_no_docker() -> None:
    program = "import sys, scaler_batch.provision.cli; print('docker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
