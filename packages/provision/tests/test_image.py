"""The image of our own: what it is built from, when it is built, and what stands in the way."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

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
        ecr.put_image(repositoryName=name, imageManifest=json.dumps({**MANIFEST, "tag": self.tag}), imageTag=self.tag)


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
    assert made.changed == tuple(one for one in Kind if one not in (Kind.SPOT_ENVIRONMENT, Kind.SCHEDULING_POLICY))
    batch = aws.client("batch", region_name="us-east-1")
    (definition,) = batch.describe_job_definitions()["jobDefinitions"]
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/scaler-batch-runner:1"
    assert definition["containerProperties"]["image"] == uri
    assert [login.username for login in image.logins] == ["AWS"]
    assert provision(Settings(), aws, image=image).changed == ()


def test_the_repository_scans_and_forgets(aws: boto3.Session, image: Pushed) -> None:
    provision(Settings(), aws, image=image)
    (repository,) = ecr_of(aws).describe_repositories()["repositories"]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = ecr_of(aws).get_lifecycle_policy(repositoryName="scaler-batch-runner")["lifecyclePolicyText"]
    (rule,) = json.loads(policy)["rules"]
    assert (rule["selection"]["countType"], rule["selection"]["countNumber"]) == ("imageCountMoreThan", 3)
    assert (rule["selection"]["tagStatus"], rule["selection"]["tagPrefixList"]) == ("tagged", ["built-"])
    tags = ecr_of(aws).list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
    assert {tag["Key"] for tag in tags} == {"scaler-batch:prefix", "scaler-batch:version"}


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
    assert (first.image, first.built) == (
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/scaler-batch-runner:1",
        True,
    )
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
    return place


def test_the_tag_follows_from_the_content(folder: Path) -> None:
    tag = wheels.find(folder, "3.12").tag
    assert tag.startswith("built-0.1.0-py3.12-amd64-")
    assert wheels.find(folder, "3.12").tag == tag
    assert wheels.find(folder, "3.13").tag != tag
    (folder / "scaler_batch_runner-0.1.0-py3-none-any.whl").write_bytes(b"other")
    assert wheels.find(folder, "3.12").tag != tag


def test_every_byte_of_the_image_is_pinned(folder: Path) -> None:
    requirements = wheels.find(folder, "3.12").requirements
    entries = [entry for entry in requirements.replace("\\\n", " ").splitlines() if not entry.startswith("#")]
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert any(entry.startswith("scaler-batch-payload[s3]==0.1.0") for entry in entries)
    assert any(entry.startswith("scaler-batch-runner==0.1.0") for entry in entries)


def test_the_dockerfile_takes_the_arguments_it_is_given(folder: Path) -> None:
    dockerfile = wheels.dockerfile().read_text()
    assert {f"ARG {name}" in dockerfile for name in wheels.find(folder, "3.12").arguments} == {True}


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


def test_what_pip_cannot_fetch_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(EngineError, match="pip cannot fetch") as error:
        wheels.find(None, "3.12")
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
    monkeypatch.setattr(engine, "build", lambda where, *_, **__: steps.append(f"build {len(list(where.iterdir()))}"))
    monkeypatch.setattr(engine, "push", lambda repository, tag, *_: steps.append(f"push {repository}:{tag}"))
    image = BuiltImage.of(folder, "3.12", lambda _: None)
    image.push("registry.test/r", Login("AWS", "x"))
    assert steps == ["fetch", "build 3", f"push registry.test/r:{image.tag}"]


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
    assert uri.startswith("123456789012.dkr.ecr.us-east-1.amazonaws.com/scaler-batch-runner:built-0.1.0-py3.12-amd64-")
    assert cli.main(["build-image", "--wheels", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"image": uri, "built": False}
    assert cli.main(["provision", "--wheels", str(folder)]) == 0
    assert "11 of 12 resources made or changed" in capsys.readouterr().out
    assert cli.main(["plan", "--wheels", str(folder), "--python", "3.13", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pending"] == 2


def test_importing_the_command_line_imports_no_docker() -> None:
    program = "import sys, scaler_batch.provision.cli; print('docker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
