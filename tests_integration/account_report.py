"""What a run on an account came to, as a page that can be pasted into an issue. Pure: nothing here calls anybody.

The page names nobody: account numbers, access keys, secrets and the caller are replaced before it leaves this module.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

PER_VCPU_HOUR = {"cpu": 0.07, "gpu": 0.26}
"""US dollars, at most: r6i and g5 on demand in us-east-1, with disk and public address (EC2's price list, 2026)."""

PER_REQUEST = 0.005 / 1000
"""US dollars for the dearest request of S3 (PUT, LIST). Requests to the other services cost nothing."""

_ACCOUNT = re.compile(r"(?<![0-9a-f])\d{12}(?![0-9a-f])")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{12,}\b")
_CALLER = re.compile(r"arn:[\w-]+:(?:iam|sts)::[^:\s]*:(?:user|assumed-role|federated-user)/[^\s\"'|]+")
_SHORTEST_SECRET = 16


class Verdict(StrEnum):
    """How a step ended."""

    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        note: What came of it, a line.
    """

    name: str
    seconds: float
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True)
class Explained:
    """What ``why`` says of a job."""

    job: str
    status: str
    story: Sequence[str]
    fix: str = ""


@dataclass
class Report:
    """What is known of a run.

    Attributes:
        facts: Versions, region, options.
        calls: Requests by who made them, then by operation.
        vcpus: Most vCPUs that the environment could grow to.
        seconds_of_machines: From the first job on until everything was gone.
        gpus: Whether instances had some.
        left: What was found after the cleanup, by kind; ``None`` where nobody has looked.
        unseen: Kinds that could not be looked at, and why.
        details: What parts that failed have written.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    calls: dict[str, Counter[str]] = field(default_factory=dict)
    explained: list[Explained] = field(default_factory=list)
    vcpus: int = 0
    seconds_of_machines: float = 0.0
    gpus: bool = False
    left: Mapping[str, Sequence[str]] | None = None
    unseen: Mapping[str, str] = field(default_factory=dict)
    details: list[tuple[str, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every step went well, and nothing is left."""
        clean = self.left is not None and not any(self.left.values()) and not self.unseen
        return clean and all(step.verdict is not Verdict.FAILED for step in self.steps)

    @property
    def dollars(self) -> float:
        """What it cost at most."""
        hours = self.seconds_of_machines / 3600
        requests = sum(counter.total() for counter in self.calls.values())
        return self.vcpus * hours * PER_VCPU_HOUR["gpu" if self.gpus else "cpu"] + requests * PER_REQUEST


def redacted(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without account numbers, access keys, callers, and these secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "<secret>")
    for pattern, stand_in in ((_CALLER, "<caller>"), (_ACCESS_KEY, "<access key>"), (_ACCOUNT, "<account>")):
        text = pattern.sub(stand_in, text)
    return text


def page(report: Report, secrets: Sequence[str] = ()) -> str:
    """The report in Markdown, redacted."""
    verdict = "passed" if report.passed else "FAILED"
    parts = [
        f"# scaler-batch on an AWS account: {verdict}",
        _table(("", ""), report.facts.items()),
        "## Steps",
        _table(
            ("step", "seconds", "result", "note"),
            ((one.name, f"{one.seconds:.1f}", one.verdict, one.note) for one in report.steps),
        ),
        "## Calls",
        _table(("who", "requests", "most of them"), (_called(who, made) for who, made in report.calls.items())),
        "## Cost",
        _cost(report),
        *_failed_jobs(report),
        "## Left behind",
        _left(report),
        *(f"## {name}\n\n```text\n{text}\n```" for name, text in report.details),
    ]
    return redacted("\n\n".join(parts) + "\n", secrets)


def _called(who: str, made: Counter[str]) -> tuple[str, str, str]:
    return who, f"{made.total()}", ", ".join(f"{operation} {count}" for operation, count in made.most_common(6))


def _cost(report: Report) -> str:
    minutes = report.seconds_of_machines / 60
    return (
        f"At most about ${report.dollars:.2f}: {report.vcpus} vCPUs for {minutes:.0f} minutes, if the environment had "
        "grown to its limit at once, and the requests above. Estimated with the prices of us-east-1; the bill tells."
    )


def _failed_jobs(report: Report) -> list[str]:
    if not report.explained:
        return []
    jobs = [
        "\n".join([f"- `{one.job}` {one.status}", *(f"  - {line}" for line in (*one.story, one.fix) if line)])
        for one in report.explained
    ]
    return ["## Jobs that wait or have failed, and what `why` says of them", "\n".join(jobs)]


def _left(report: Report) -> str:
    if report.left is None:
        return "Nobody has looked: see the steps."
    found = [f"- {kind}: {', '.join(names)}" for kind, names in report.left.items() if names]
    unseen = [f"- {kind}: could not be looked at: {why}" for kind, why in report.unseen.items()]
    looked = ", ".join(kind for kind in report.left if kind not in report.unseen)
    return "\n".join([*(found or ["Nothing."]), *unseen, "", f"Looked for: {looked}."])


def _table(heads: Sequence[str], rows: object) -> str:
    lines = [heads, ["---"] * len(heads), *rows]  # type: ignore[misc]
    return "\n".join(f"| {' | '.join(_cell(str(cell)) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
