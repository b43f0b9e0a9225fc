"""What the provisioner leaves behind, read as options."""

from __future__ import annotations

import json

import pytest

from scaler_batch.adapter.provisioned import read_provisioned

LINES = """\
# by scaler-batch-provision
export SCALER_AWS_REGION="eu-central-1"
export SCALER_S3_BUCKET='provisioned-bucket'
SCALER_JOB_QUEUE=provisioned-queue   # the export is only for shells
export SCALER_JOB_DEFINITION="provisioned-definition" OTHER="of somebody else"
"""

RECORD = {
    "version": 1,
    "region": "eu-central-1",
    "resources": {
        "bucket": {"name": "provisioned-bucket", "arn": "…"},
        "job_queue": {"name": "provisioned-queue", "arn": "…"},
        "job_definition": {"name": "provisioned-definition", "arn": "…"},
        "repository": {"name": "of no interest here"},
    },
}


@pytest.mark.parametrize("text", [LINES, json.dumps(RECORD)], ids=["lines", "json"])
def test_both_files_give_the_same_options(text: str) -> None:
    found = read_provisioned(text)
    assert {option: value for option, (_, value) in found.items()} == {
        "aws_region": "eu-central-1",
        "s3_bucket": "provisioned-bucket",
        "job_queue": "provisioned-queue",
        "job_definition": "provisioned-definition",
    }


def test_each_value_bears_the_name_that_the_file_has_for_it() -> None:
    assert read_provisioned(LINES)["job_queue"][0] == "SCALER_JOB_QUEUE"
    assert read_provisioned(json.dumps(RECORD))["job_queue"][0] == "resources.job_queue.name"


def test_what_is_not_there_is_left_to_other_sources() -> None:
    assert read_provisioned("SCALER_JOB_QUEUE=q") == {"job_queue": ("SCALER_JOB_QUEUE", "q")}
    assert read_provisioned('{"region": "r", "resources": {}}') == {"aws_region": ("region", "r")}
