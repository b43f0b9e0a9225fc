"""A Terraform configuration, in Terraform's JSON syntax (``*.tf.json``).

A ``${…}`` in a text is an expression there, so that account, ARNs and the order of making follow from what they refer
to. Nothing else in a configuration holds one: no name and no tag may.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.provision.resources.repository import FIXED, lifecycle
from scaler_batch.provision.templates.blueprint import MAKE_KEY, draw, referring
from scaler_batch.provision.vocabulary import Kind, Untold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.settings import Settings
    from scaler_batch.provision.templates.blueprint import Blueprint
    from scaler_batch.provision.vocabulary import Wanted

Document = dict[str, Any]

PROVIDER: Final = ">= 6.0"
"""Before, a compute environment's name had another name."""

_SYMBOLS: Final = {
    "account": "${data.aws_caller_identity.current.account_id}",
    "vpc": "${var.vpc}",
    "own_group": "${aws_security_group.instances.id}",
}
_REFERENCES: Final[Mapping[Kind, str]] = {
    Kind.LOG_GROUP: "${aws_cloudwatch_log_group.jobs.arn}",
    Kind.BUCKET: "${aws_s3_bucket.tasks.arn}",
    Kind.JOB_ROLE: "${aws_iam_role.job_role.arn}",
    Kind.EXECUTION_ROLE: "${aws_iam_role.execution_role.arn}",
    Kind.INSTANCE_PROFILE: "${aws_iam_instance_profile.instance.arn}",
    Kind.SPOT_ENVIRONMENT: "${aws_batch_compute_environment.spot.arn}",
    Kind.COMPUTE_ENVIRONMENT: "${aws_batch_compute_environment.compute.arn}",
    Kind.SCHEDULING_POLICY: "${aws_batch_scheduling_policy.fair_share.arn}",
}
_BUCKET: Final = "${aws_s3_bucket.tasks.id}"


def configuration(settings: Settings, partition: str) -> Document:
    """Write the configuration for one region."""
    blueprint = draw(settings, partition, **_SYMBOLS)
    names = blueprint.names
    references = [(names.arn(kind), reference) for kind, reference in _REFERENCES.items()]
    references.append((names.arn(Kind.PAYLOAD_KEY), names.regional("ssm", "parameter${var.payload_key}")))
    resources: dict[str, dict[str, Document]] = {}
    for kind, name, body in (*_resources(blueprint), _worker_policy(blueprint)):
        resources.setdefault(kind, {})[name] = referring(body, references)
    return {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws", "version": PROVIDER}}},
        "provider": {"aws": {"region": settings.region}},
        "data": {"aws_caller_identity": {"current": {}}},
        "variable": _variables(settings, names),
        "resource": resources,
        "output": _outputs(blueprint),
    }


def _variables(settings: Settings, names: Names) -> Document:
    key = {"type": "string", "description": MAKE_KEY, "default": names.of(Kind.PAYLOAD_KEY)}
    image = {"type": "string", "description": "URI of the container image of the runner"}
    subnets = {"type": "list(string)", "description": "Subnets of instances; they need a way out"}
    groups = {"type": "list(string)", "description": "Security groups of instances"}
    vpc = {"type": "string", "description": "VPC of the subnets"}
    return {
        "image": _with_default(image, settings.image),
        "subnets": _with_default(subnets, list(settings.subnets)),
        **(
            {"security_groups": _with_default(groups, list(settings.security_groups))}
            if settings.security_groups
            else {"vpc": _with_default(vpc, settings.vpc)}
        ),
        **({"payload_key": key} if settings.payload_key else {}),
    }


def _with_default(variable: Document, value: str | list[str] | None) -> Document:
    return {**variable, "default": value} if value else variable


def _outputs(blueprint: Blueprint) -> Document:
    values = {
        "region": blueprint.names.target.region,
        "bucket": _BUCKET,
        "job_queue": "${aws_batch_job_queue.queue.name}",
        "job_definition": "${aws_batch_job_definition.job.name}",
        **({"payload_key": "ssm:${var.payload_key}"} if blueprint.settings.payload_key else {}),
    }
    outputs = {name: {"description": "For the worker adapter", "value": value} for name, value in values.items()}
    policy = {"description": "Attach it to the identity of the worker", "value": "${aws_iam_policy.worker.arn}"}
    return {**outputs, "worker_policy": policy}


def _resources(blueprint: Blueprint) -> Iterator[tuple[str, str, Document]]:
    """Every resource with its type and its name within the configuration."""
    writers = {
        Kind.REPOSITORY: _repository,
        Kind.LOG_GROUP: _log_group,
        Kind.BUCKET: _bucket,
        Kind.JOB_ROLE: _role,
        Kind.EXECUTION_ROLE: _role,
        Kind.INSTANCE_ROLE: _role,
        Kind.INSTANCE_PROFILE: _instance_profile,
        Kind.SECURITY_GROUP: _security_group,
        Kind.LAUNCH_TEMPLATE: _launch_template,
        Kind.JOB_DEFINITION: _job_definition,
        Kind.SPOT_ENVIRONMENT: _compute_environment,
        Kind.COMPUTE_ENVIRONMENT: _compute_environment,
        Kind.SCHEDULING_POLICY: _scheduling_policy,
        Kind.JOB_QUEUE: _job_queue,
    }
    for one in blueprint.wanted:
        yield from writers[one.kind](one)


def _worker_policy(blueprint: Blueprint) -> tuple[str, str, Document]:
    name, document = blueprint.worker_policy_name, json.dumps(blueprint.worker_policy)
    body = {"name": name, "description": "What the scaler-batch worker needs", "policy": document}
    return "aws_iam_policy", "worker", body


def _repository(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    scanning = {"scan_on_push": one.specification.scan_on_push}
    body = {
        "name": one.name,
        "image_tag_mutability": FIXED if one.specification.tags_are_fixed else "MUTABLE",
        "image_scanning_configuration": scanning,
        "force_delete": True,
        "tags": _tags(one),
    }
    yield "aws_ecr_repository", "runner", body
    policy = json.dumps(lifecycle(one.specification.kept_images))
    yield "aws_ecr_lifecycle_policy", "runner", {"repository": "${aws_ecr_repository.runner.name}", "policy": policy}


def _log_group(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    body = {"name": one.name, "retention_in_days": one.specification.retention_days, "tags": _tags(one)}
    yield "aws_cloudwatch_log_group", "jobs", body


def _bucket(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    wanted = one.specification
    doors = ("block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets")
    default = {"apply_server_side_encryption_by_default": {"sse_algorithm": wanted.encryption}}
    rules = [
        {
            "id": f"expire {rule.prefix}",
            "status": "Enabled",
            "filter": {"prefix": rule.prefix},
            "expiration": {"days": rule.days},
            "abort_incomplete_multipart_upload": {"days_after_initiation": rule.days},
        }
        for rule in wanted.expiry
    ]
    yield "aws_s3_bucket", "tasks", {"bucket": one.name, "force_destroy": True, "tags": _tags(one)}
    for kind, body in (
        ("aws_s3_bucket_public_access_block", dict.fromkeys(doors, wanted.public_access_blocked)),
        ("aws_s3_bucket_server_side_encryption_configuration", {"rule": default}),
        ("aws_s3_bucket_policy", {"policy": json.dumps(wanted.policy)}),
        ("aws_s3_bucket_lifecycle_configuration", {"rule": rules}),
    ):
        yield kind, "tasks", {"bucket": _BUCKET, **body}


def _role(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    trust = json.dumps(one.specification.trust)
    boundary = one.specification.boundary
    bound = {} if isinstance(boundary, Untold) else {"permissions_boundary": boundary}
    yield "aws_iam_role", one.kind.value, {"name": one.name, "assume_role_policy": trust, **bound, "tags": _tags(one)}
    role = f"${{aws_iam_role.{one.kind.value}.name}}"
    for name, document in one.specification.policies.items():
        yield "aws_iam_role_policy", one.kind.value, {"name": name, "role": role, "policy": json.dumps(document)}
    for arn in sorted(one.specification.managed):
        yield "aws_iam_role_policy_attachment", one.kind.value, {"role": role, "policy_arn": arn}


def _instance_profile(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    body = {"name": one.name, "role": "${aws_iam_role.instance_role.name}", "tags": _tags(one)}
    yield "aws_iam_instance_profile", "instance", body


def _security_group(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    described = {"description": "Instances of AWS Batch: everything out, nothing in", "vpc_id": one.specification.vpc}
    yield "aws_security_group", "instances", {"name": one.name, **described, "tags": _tags(one)}
    # Terraform takes away the rule that EC2 gives to new groups.
    rule = {"security_group_id": "${aws_security_group.instances.id}", "ip_protocol": "-1", "cidr_ipv4": "0.0.0.0/0"}
    yield "aws_vpc_security_group_egress_rule", "instances", rule


def _launch_template(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    options = {
        "http_endpoint": "enabled",
        "http_tokens": one.specification.metadata_tokens,
        "http_put_response_hop_limit": one.specification.metadata_hops,
    }
    body = {"name": one.name, "metadata_options": options, "update_default_version": True, "tags": _tags(one)}
    yield "aws_launch_template", "instances", body


def _job_definition(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    wanted = one.specification
    container = {
        "image": "${var.image}",
        "command": list(wanted.command),
        "environment": [{"name": name, "value": value} for name, value in wanted.environment.items()],
        "resourceRequirements": [{"type": kind, "value": str(size)} for kind, size in wanted.requirements.items()],
        **_secrets(wanted.secrets),
        "jobRoleArn": wanted.job_role,
        "executionRoleArn": wanted.execution_role,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "${aws_cloudwatch_log_group.jobs.name}",
                "awslogs-region": wanted.log_region,
            },
        },
    }
    body = {
        "name": one.name,
        "type": "container",
        "platform_capabilities": ["EC2"],
        "parameters": dict(wanted.parameters),
        "timeout": {"attempt_duration_seconds": wanted.timeout_seconds},
        "container_properties": json.dumps(container),
        "tags": _tags(one),
    }
    yield "aws_batch_job_definition", "job", body


def _secrets(secrets: Mapping[str, str]) -> Document:
    listed = [{"name": name, "valueFrom": arn} for name, arn in secrets.items()]
    return {"secrets": listed} if listed else {}


def _compute_environment(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    wanted = one.specification
    untold = isinstance(wanted.image_type, Untold)
    keeping = {"scaling_policy": {"min_scale_down_delay_minutes": wanted.keep_minutes}} if wanted.keep_minutes else {}
    body = {
        "name": one.name,
        "type": "MANAGED",
        "state": wanted.state,
        "compute_resources": {
            "type": wanted.capacity,
            "allocation_strategy": wanted.allocation,
            "min_vcpus": 0,
            "max_vcpus": wanted.max_vcpus,
            "instance_type": list(wanted.instance_types),
            "instance_role": wanted.instance_profile,
            "subnets": "${var.subnets}",
            "launch_template": {
                "launch_template_id": "${aws_launch_template.instances.id}",
                "version": "${aws_launch_template.instances.default_version}",
            },
            "security_group_ids": list(wanted.security_groups) or "${var.security_groups}",
            "tags": dict(wanted.instance_tags),
            **keeping,
            **({} if untold else {"ec2_configuration": [{"image_type": wanted.image_type}]}),
        },
        # AWS Batch needs the role's policy for as long as the environment is there, also while it is removed.
        "depends_on": ["aws_iam_role_policy_attachment.instance_role"],
        "tags": _tags(one),
    }
    yield "aws_batch_compute_environment", "spot" if one.kind is Kind.SPOT_ENVIRONMENT else "compute", body


def _scheduling_policy(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    wanted = one.specification
    share = {"share_decay_seconds": wanted.decay_seconds, "compute_reservation": wanted.reservation}
    body = {"name": one.name, "fair_share_policy": share, "tags": _tags(one)}
    yield "aws_batch_scheduling_policy", "fair_share", body


def _job_queue(one: Wanted[Any]) -> Iterator[tuple[str, str, Document]]:
    wanted = one.specification
    body = {
        "name": one.name,
        "state": wanted.state,
        "priority": wanted.priority,
        "compute_environment_order": [
            {"order": order, "compute_environment": arn} for order, arn in enumerate(wanted.compute_environments, 1)
        ],
        **({"scheduling_policy_arn": wanted.fair_share} if wanted.fair_share else {}),
        "job_state_time_limit_action": [
            {"reason": limit.reason, "state": "RUNNABLE", "max_time_seconds": limit.seconds, "action": "CANCEL"}
            for limit in wanted.time_limits
        ],
        "tags": _tags(one),
    }
    yield "aws_batch_job_queue", "queue", body


def _tags(one: Wanted[Any]) -> dict[str, str]:
    return dict(one.tags)
