"""What is said to programs: one JSON document at the end, on the standard output, for errors too."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from scaler_batch.provision.apply import Silent
from scaler_batch.provision.finding import healthy
from scaler_batch.provision.vocabulary import NONCE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from scaler_batch.provision.apply import CleanupReport
    from scaler_batch.provision.errors import ProvisionError
    from scaler_batch.provision.explanation import Explanation
    from scaler_batch.provision.finding import Finding
    from scaler_batch.provision.plan import AdoptionPlan, Change, Plan, RemovalPlan
    from scaler_batch.provision.results import AdoptionReport, BuildReport, Inventory, ProvisionedResources


class Programs(Silent):
    """Talks to programs.

    Agrees to everything: a program that wants to look first asks for the plan.
    """

    asks = False

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def plan(self, plan: Plan) -> None:
        """Tell every step of a plan."""
        steps = [
            {
                "action": step.action,
                "kind": step.wanted.kind,
                "name": step.wanted.name,
                "changes": [_plain_change(change) for change in step.changes],
            }
            for step in plan.steps
        ]
        self._say({"steps": steps, "pending": len(plan.pending)})

    def provisioned(self, made: ProvisionedResources, env: str) -> None:
        """Tell what is there, and what of it is new."""
        resources = {kind: asdict(identity) for kind, identity in made.resources.items()}
        obstacles = [{"kind": kind, **_plain_change(change)} for kind, change in made.obstacles]
        self._say(
            {
                "changed": made.changed,
                "obstacles": obstacles,
                "resources": resources,
                "environment": made.environment(),
                "env_file": env,
            }
        )

    def removal(self, plan: RemovalPlan) -> None:
        """Tell what a cleanup would remove."""
        remove = [(kind, observed.name) for kind, observed in plan.remove]
        foreign = [(kind, observed.name) for kind, observed in plan.foreign]
        self._say({"remove": _pairs(remove), "foreign": _pairs(foreign)})

    def adoption(self, plan: AdoptionPlan) -> None:
        """Tell what would be taken over."""
        adopt = [{"kind": one.kind, "name": one.observed.name, "reason": one.reason} for one in plan.adopt]
        self._say({"adopt": adopt, "foreign": _pairs((kind, one.name) for kind, one in plan.foreign)})

    def adopted(self, report: AdoptionReport) -> None:
        """Tell what was taken over."""
        self._say({"adopted": _pairs(report.adopted), "foreign": _pairs(report.foreign)})

    def built(self, report: BuildReport) -> None:
        """Tell what building an image came to."""
        self._say(asdict(report))

    def inventory(self, inventory: Inventory) -> None:
        """Tell what is there."""
        self._say({"resources": inventory_rows(inventory)})

    def cleaned(self, report: CleanupReport) -> None:
        """Tell what is gone, and what is left and why."""
        self._say(
            {
                "complete": report.complete,
                "removed": _pairs(report.removed),
                "foreign": _pairs(report.foreign),
                "unproven": _pairs(report.unproven),
                "left": [{"kind": one.kind, "name": one.name, **_plain_error(one.error)} for one in report.left],
                "files": [str(file) for file in report.files],
            }
        )

    def progress(self, words: str) -> None:
        """Say nothing."""

    def findings(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Tell what an examination found."""
        found = tuple(findings)
        self._say({"healthy": healthy(found), "findings": [asdict(finding) for finding in found]})
        return found

    def explanation(self, explanation: Explanation) -> None:
        """Tell why a job waits, or what it died of."""
        self._say(asdict(explanation))

    def error(self, error: ProvisionError) -> None:
        """Tell an error and what to do about it."""
        self._say(_plain_error(error))

    def interrupted(self) -> None:
        """Tell that the work was interrupted."""
        self._say({"error": "Interrupted", "message": "interrupted", "fix": "run the same command again"})

    def _say(self, document: dict[str, Any]) -> None:
        self._out.write(json.dumps(document, indent=2, default=plain) + "\n")


def inventory_rows(inventory: Inventory) -> list[dict[str, str]]:
    """What is there, a row for each kind."""
    prefix = inventory.names.target.prefix
    return [
        {
            "kind": kind,
            "name": inventory.names.of(kind),
            "arn": one.arn if one else "",
            "state": "absent" if one is None else one.phase if one.bears(prefix) else "foreign",
            "nonce": one.tags.get(NONCE_TAG, "") if one else "",
        }
        for kind, one in inventory.observed.items()
    ]


def _pairs(resources: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"kind": kind, "name": name} for kind, name in resources]


def _plain_error(error: ProvisionError) -> dict[str, str]:
    return {"error": type(error).__name__, "message": str(error), "fix": error.fix}


def _plain_change(change: Change) -> dict[str, Any]:
    return {key: value for key, value in asdict(change).items() if key != "obstacle" or value}


def plain(value: Any) -> Any:
    """What JSON has no word for: specifications as objects, sets as lists."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else sorted(value)
