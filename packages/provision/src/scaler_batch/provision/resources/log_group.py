"""The log group that containers write to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_batch.aws import unless_missing
from scaler_batch.provision.resources.clients import once_accepted
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import LogGroupTypeDef

    from scaler_batch.provision.waiting import Waiter

_MISSING = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True)
class LogGroupSpecification(Specification):
    """A log group.

    Attributes:
        retention_days: How long a line is kept; ``None`` for ever.
    """

    retention_days: int | None


class LogGroupHandler(Handler[LogGroupSpecification]):
    """Looks after the log group."""

    def __init__(self, logs: CloudWatchLogsClient, waiter: Waiter) -> None:
        self._logs = logs
        self._waiter = waiter

    def observe(self, name: str) -> Observed[LogGroupSpecification] | None:
        """Look at the log group of exactly this name."""
        group = self._find(name)
        if group is None:
            return None
        arn = group["arn"].removesuffix(":*")
        tags = self._logs.list_tags_for_resource(resourceArn=arn).get("tags", {})
        return Observed(name, arn, LogGroupSpecification(group.get("retentionInDays")), tags)

    def create(self, wanted: Wanted[LogGroupSpecification]) -> None:
        """Make it, and set its retention."""
        self._logs.create_log_group(logGroupName=wanted.name, tags=wanted.tags)
        self.change(wanted, ("retention_days",))

    def change(self, wanted: Wanted[LogGroupSpecification], fields: Collection[str]) -> None:
        """Set its retention."""
        days = wanted.specification.retention_days
        if "retention_days" in fields and days is not None:
            once_accepted(
                self._waiter,
                f"log group {wanted.name}",
                lambda: self._logs.put_retention_policy(logGroupName=wanted.name, retentionInDays=days),
                _MISSING,
                "OperationAbortedException",
            )

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it."""
        self._logs.tag_resource(resourceArn=arn, tags=tags)

    def remove(self, observed: Observed[LogGroupSpecification]) -> None:
        """Remove it with all it holds."""
        unless_missing(lambda: self._logs.delete_log_group(logGroupName=observed.name), _MISSING)

    def _find(self, name: str) -> LogGroupTypeDef | None:
        pages = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
        return next((group for page in pages for group in page["logGroups"] if group["logGroupName"] == name), None)
