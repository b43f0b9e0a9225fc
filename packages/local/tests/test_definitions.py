"""The names by which a job definition is known."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def arn(account: Any) -> str:
    """A definition with three revisions, of which the last is inactive: the first prints 1, the second 2."""
    name = account.define("echo", "1")
    for number in ("2", "3"):
        container = {"image": "none", "command": ["echo", number], "vcpus": 1, "memory": 64}
        made = account.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container
        )
    account.batch.deregister_job_definition(jobDefinition=made["jobDefinitionArn"])
    return str(made["jobDefinitionArn"].rpartition(":")[0])


@pytest.mark.parametrize(("revision", "said"), [("", "2"), (":1", "1"), (":2", "2")])
@pytest.mark.parametrize("full", [False, True])
def test_submit_job_takes_names_and_arns_with_and_without_revision(
    account: Any, arn: str, full: bool, revision: str, said: str
) -> None:
    named = (arn if full else arn.rpartition("/")[2]) + revision
    job = account.run(definition=named)
    assert account.lines(job) == [said]
    assert job["jobDefinition"] == f"{arn}:{said}"


def described(account: Any, *names: str) -> list[int]:
    return sorted(
        each["revision"] for each in account.batch.describe_job_definitions(jobDefinitions=names)["jobDefinitions"]
    )


def test_describe_job_definitions_takes_names_and_arns_with_revision(account: Any, arn: str) -> None:
    name = arn.rpartition("/")[2]
    assert described(account, f"{name}:1") == [1]
    assert described(account, f"{arn}:3") == [3]
    assert described(account, f"{name}:1", f"{arn}:2", f"{name}:2", f"{name}:9") == [1, 2]
    answer = account.batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")
    assert sorted(each["revision"] for each in answer["jobDefinitions"]) == [1, 2]


def test_the_arn_of_another_region_or_account_names_nothing_here(account: Any, arn: str) -> None:
    for elsewhere in (arn.replace("us-east-1", "eu-west-1"), arn.replace("123456789012", "210987654321")):
        assert elsewhere != arn
        assert described(account, f"{elsewhere}:1") == []
        with pytest.raises(ClientError, match="does not exist"):
            account.submit(definition=elsewhere)


def test_the_list_of_definitions_goes_with_no_other_parameter(account: Any, arn: str) -> None:
    with pytest.raises(ClientError, match="other parameters"):
        account.batch.describe_job_definitions(jobDefinitions=[f"{arn}:1"], status="ACTIVE")
