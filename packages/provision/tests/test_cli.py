"""The command line: options, what is said, and how it ends."""

from __future__ import annotations

import io
import json
import re
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.provision import cli
from scaler_batch.provision.options import build_parser, settings

if TYPE_CHECKING:
    import boto3

IMAGE = ["--image", "registry/runner:1"]
MADE = 11
"""How many resources are made where the image is named."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def account(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """The account that the command line works on."""
    monkeypatch.setattr(cli, "open_session", lambda _: aws)
    return aws


def run(*argv: str) -> int:
    return cli.main(list(argv))


def test_provision_show_and_cleanup_go_round(
    account: boto3.Session, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("provision", *IMAGE) == 0
    said = capsys.readouterr().out
    assert "+ bucket               scaler-batch-123456789012-us-east-1" in said
    assert f"{MADE} of {MADE} resources made or changed; all are ready." in said
    assert "source .scaler_aws_hpc.env" in said
    assert sorted(path.name for path in here.iterdir()) == [".scaler_aws_batch_config.json", ".scaler_aws_hpc.env"]

    assert run("provision", *IMAGE) == 0
    assert "Nothing changed" in capsys.readouterr().out

    assert run("show") == 0
    assert "job-queue/scaler-batch-queue" in capsys.readouterr().out

    assert run("cleanup") == 0
    assert "Nothing is left." in capsys.readouterr().out
    assert list(here.iterdir()) == []

    assert run("cleanup") == 0
    assert "There was nothing to remove." in capsys.readouterr().out


def test_a_plan_shows_what_differs_and_changes_nothing(
    account: boto3.Session, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", *IMAGE) == 0
    assert list(here.iterdir()) == []
    run("provision", *IMAGE)
    capsys.readouterr()
    assert run("plan", *IMAGE, "--max-vcpus", "8") == 0
    said = capsys.readouterr().out
    assert "~ compute environment  scaler-batch-compute" in said
    assert "max_vcpus: 256 → 8" in said
    assert run("plan", *IMAGE) == 0
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["plan", "provision", "template"])
def test_an_image_for_other_processors_is_refused_with_both_ways_to_mend_it(
    command: str, account: boto3.Session, capsys: pytest.CaptureFixture[str], calls: Any
) -> None:
    arguments = [*IMAGE, "--instance-types", "m7g", *(["--format", "terraform"] if command == "template" else [])]
    assert run(command, *arguments) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--platform linux/arm64" in said
    assert "--instance-types of linux/amd64" in said
    assert calls.made == []
    assert run(command, *arguments, "--platform", "linux/arm64") == 0


def test_the_default_instance_types_follow_the_platform(
    account: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("template", "--format", "cloudformation", "--platform", "linux/arm64") == 0
    assert '"default_arm64"' in capsys.readouterr().out


def test_a_dry_run_changes_nothing(account: boto3.Session, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("provision", *IMAGE, "--dry-run") == 0
    assert "+ bucket" in capsys.readouterr().out
    assert run("cleanup", "--dry-run") == 0
    assert "There is nothing to remove." in capsys.readouterr().out
    assert list(here.iterdir()) == []
    assert run("provision", *IMAGE) == 0
    capsys.readouterr()
    assert run("cleanup", "--dry-run", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["remove"]) == MADE
    assert run("show") == 0
    assert capsys.readouterr().out.count(" ready ") == MADE
    assert len(list(here.iterdir())) == 2


def test_what_stays_as_it_is_is_said(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    run("provision", *IMAGE)
    policy = "arn:aws:batch:us-east-1:123456789012:scheduling-policy/fair"
    batch = account.client("batch", region_name="us-east-1")
    batch.update_job_queue(jobQueue="scaler-batch-queue", schedulingPolicyArn=policy)
    capsys.readouterr()
    assert run("provision", *IMAGE) == 0
    said = capsys.readouterr().out
    assert "not as wanted: job queue" in said
    assert re.search(r"fair_share stays arn:aws:.*, not none: AWS cannot take a scheduling policy away", said)
    assert run("provision", *IMAGE, "--json") == 0
    assert [one["field"] for one in json.loads(capsys.readouterr().out)["obstacles"]] == ["fair_share"]


def test_tags_are_read_in_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    assert build_parser().parse_args(["plan", "--tags", "a=1, b=x=y,c="]).tags == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(SystemExit):
        build_parser().parse_args(["plan", "--tags", "nothing"])
    assert "not KEY=VALUE: 'nothing'" in capsys.readouterr().err


def test_what_is_piped_is_plain(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    run("provision", *IMAGE)
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err


def test_programs_get_one_document(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", *IMAGE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["pending"] == MADE
    assert run("provision", *IMAGE, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made["environment"]["SCALER_JOB_QUEUE"] == "scaler-batch-queue"
    assert made["resources"]["job_definition"]["arn"].endswith(":1")
    assert run("plan", *IMAGE, "--vcpus", "2", "--json") == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["changes"] for step in steps if step["action"] == "change"] == [
        [{"field": "vcpus", "before": 1, "after": 2}]
    ]
    assert run("show", "--json") == 0
    states = {row["kind"]: row["state"] for row in json.loads(capsys.readouterr().out)["resources"]}
    unwanted = {"repository", "payload_key", "spot_environment", "scheduling_policy"}
    assert {kind for kind, state in states.items() if state != "ready"} == unwanted
    assert run("cleanup", "--json") == 0
    cleaned = json.loads(capsys.readouterr().out)
    assert (cleaned["complete"], len(cleaned["removed"])) == (True, MADE)


@pytest.mark.parametrize("json_wanted", [[], ["--json"]])
def test_wheels_that_are_not_there_are_an_error_of_usage_that_names_the_fix(
    json_wanted: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("provision", "--wheels", str(here), *json_wanted) == 2
    captured = capsys.readouterr()
    said = captured.out if json_wanted else captured.err
    assert "cannot read the hashes of our wheels" in said
    assert "--image" in said


def test_a_failure_says_what_to_do(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    s3 = account.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="scaler-batch-123456789012-us-east-1")
    assert run("provision", *IMAGE) == 1
    said = capsys.readouterr().err
    assert "error: there already" in said
    assert "fix: pass another --prefix" in said
    assert run("provision", *IMAGE, "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"] == "ConflictError"


def test_a_cleanup_that_leaves_something_fails(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    run("provision", *IMAGE)
    account.events.register("before-call.logs.DeleteLogGroup", _cut_the_line)
    assert run("cleanup") == 1
    captured = capsys.readouterr()
    assert "left log group /scaler-batch/jobs" in captured.err
    assert "failed remove log group" in captured.err
    assert run("cleanup", "--json") == 1
    left = json.loads(capsys.readouterr().out)["left"]
    assert [one["kind"] for one in left] == ["log_group"]


def test_what_is_not_ours_is_shown_as_such(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    account.client("logs", region_name="us-east-1").create_log_group(logGroupName="/scaler-batch/jobs")
    assert run("show") == 0
    assert "foreign" in capsys.readouterr().out
    assert run("cleanup") == 0
    assert "left alone, lacks our tags: log group /scaler-batch/jobs" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_on_a_terminal_the_user_is_asked(
    answer: str,
    code: int,
    account: boto3.Session,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run("provision", *IMAGE) == code
    assert (here / ".scaler_aws_batch_config.json").exists() == (code == 0)


def test_yes_asks_nothing(account: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run("provision", *IMAGE, "--yes") == 0
    assert run("cleanup", "--yes") == 0


def test_nothing_is_taken_over_where_nobody_is_asked(
    account: boto3.Session, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("provision", *IMAGE)
    (here / ".scaler_aws_batch_config.json").unlink()
    for options in ([], ["--json"]):
        assert run("adopt", *options) == 2
        assert not (here / ".scaler_aws_batch_config.json").exists()
    assert "--dry-run" in capsys.readouterr().err
    assert run("adopt", "--dry-run") == 0
    assert "! job queue            scaler-batch-queue: has the tag of the prefix" in capsys.readouterr().out
    assert run("adopt", "--dry-run", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["adopt"]) == MADE
    assert run("adopt", "--yes") == 0
    assert f"{MADE} resources taken over." in capsys.readouterr().out
    assert run("adopt", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"adopted": [], "foreign": []}
    assert run("cleanup", "--yes") == 0


def test_a_cleanup_without_the_record_fails_and_names_the_way(
    account: boto3.Session, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("provision", *IMAGE)
    (here / ".scaler_aws_batch_config.json").unlink()
    monkeypatch.setattr("scaler_batch.provision.state.new_nonce", lambda: "f" * 32)
    assert run("cleanup", "--yes") == 1
    said = capsys.readouterr()
    assert "left alone, not known to be ours: bucket" in said.out
    assert "scaler-batch-provision adopt" in said.err


def test_an_interruption_says_how_to_go_on(account: boto3.Session, capsys: pytest.CaptureFixture[str]) -> None:
    account.events.register("before-call.batch.CreateJobQueue", _press_control_c)
    assert run("provision", *IMAGE) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert run("provision", *IMAGE, "--json") == 130
    assert json.loads(capsys.readouterr().out)["error"] == "Interrupted"


def test_files_may_lie_elsewhere(account: boto3.Session, here: Path) -> None:
    config, env = here / "a.json", here / "b.env"
    assert run("provision", *IMAGE, "--config", str(config), "--env-file", str(env)) == 0
    assert sorted(here.iterdir()) == [config, env]


def test_defaults_are_those_of_the_guide() -> None:
    options = build_parser().parse_args(["provision"])
    assert (options.spot, options.tags, options.dry_run, options.yes, options.json) == (False, {}, False, False, False)
    assert (options.region, options.prefix, options.image) == ("us-east-1", "scaler-batch", None)
    assert (options.vcpus, options.memory, options.max_vcpus, options.job_timeout) == (1, 2048, 256, 60)
    assert settings(options).instance_types == ("default_x86_64",)
    assert options.config == Path(".scaler_aws_batch_config.json")
    assert options.env_file == Path(".scaler_aws_hpc.env")


def test_instance_types_are_parted_by_commas() -> None:
    options = build_parser().parse_args(["plan", "--instance-types", "m6i.large, c6i"])
    assert options.instance_types == ("m6i.large", "c6i")


@pytest.mark.parametrize("argv", [[], ["unknown"], ["provision", "--vcpus", "many"], ["cleanup", "--image", "x"]])
def test_wrong_usage_ends_with_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(*argv)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_package_runs_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["scaler-batch-provision", "--version"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("scaler_batch.provision", run_name="__main__")
    assert end.value.code == 0
    assert "scaler-batch-provision 0." in capsys.readouterr().out


def _cut_the_line(**_: Any) -> None:
    from botocore.exceptions import EndpointConnectionError

    raise EndpointConnectionError(endpoint_url="https://logs")


def _press_control_c(**_: Any) -> None:
    raise KeyboardInterrupt
