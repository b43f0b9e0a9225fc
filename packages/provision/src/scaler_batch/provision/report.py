"""What is said: to people with colour and progress on a terminal, plainly through a pipe; to programs as one JSON.

Nothing here decides anything. Everything goes to the standard output, except questions, progress and errors, which go
to the standard error so that they do not end up in somebody's file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape

from scaler_batch.provision.apply import Silent
from scaler_batch.provision.plan import Action

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from scaler_batch.provision.apply import CleanupReport
    from scaler_batch.provision.errors import ProvisionError
    from scaler_batch.provision.plan import Change, Plan, RemovalPlan, Step
    from scaler_batch.provision.provisioning import Inventory, ProvisionedResources

_MARKS: Final = {
    Action.CREATE: "[green]+[/]",
    Action.CHANGE: "[yellow]~[/]",
    Action.AWAIT: "[yellow]…[/]",
    Action.KEEP: " ",
}
_LONGEST_VALUE: Final = 60


class People:
    """Talks to people; an :class:`~scaler_batch.provision.apply.Audience`.

    Args:
        out: Where results go.
        err: Where questions, progress and errors go.
        ask: Whether to ask before anything is changed.
    """

    def __init__(self, out: TextIO, err: TextIO, *, ask: bool) -> None:
        self._out = Console(file=out, highlight=False, soft_wrap=True)
        self._err = Console(file=err, highlight=False, soft_wrap=True)
        self._ask = ask

    def agrees_to(self, plan: Plan) -> bool:
        """Show the plan, and ask if asking is wanted."""
        self.plan(plan)
        return self._agreed()

    def agrees_to_removal(self, plan: RemovalPlan) -> bool:
        """Show what is to be removed, and ask if asking is wanted."""
        for kind, observed in plan.remove:
            self._out.print(f"[red]-[/] {kind.words:<20} {escape(observed.name)}")
        return self._agreed()

    def doing(self, words: str) -> None:
        """Show what begins, where it can be shown in passing."""
        if self._err.is_terminal:
            self._err.print(f"[dim]{escape(words)} …[/]")

    def waiting(self, words: str) -> None:
        """Show what is being waited for."""
        self._err.print(f"[dim]  waiting for {escape(words)}[/]")

    def done(self, words: str) -> None:
        """Show what is done."""
        self._out.print(f"[green]done[/] {escape(words)}")

    def failed(self, words: str, error: ProvisionError) -> None:
        """Show what could not be done, at once: the work goes on."""
        self._err.print(f"[red]failed[/] {escape(words)}: {escape(str(error))}")

    def plan(self, plan: Plan) -> None:
        """Show a plan, every resource of it."""
        for step in plan.steps:
            self._step(step)
        if not plan.pending:
            self._out.print("Nothing to do: everything is as wanted.")

    def provisioned(self, made: ProvisionedResources, env: str) -> None:
        """Show how it ended, and what comes next."""
        if made.changed:
            self._out.print(f"{len(made.changed)} of {len(made.resources)} resources made or changed; all are ready.")
        else:
            self._out.print("Nothing changed: everything was as wanted already.")
        for name, value in made.environment().items():
            self._out.print(f"  {name}={escape(value)}")
        self._out.print(f"Load these into a shell with: source {escape(env)}")

    def inventory(self, inventory: Inventory) -> None:
        """Show what is there."""
        for row in _inventory_rows(inventory):
            state = "[dim]absent[/]" if row["state"] == "absent" else row["state"]
            self._out.print(f"{row['kind'].replace('_', ' '):<20} {state:<8} {escape(row['arn'] or row['name'])}")

    def cleaned(self, report: CleanupReport) -> None:
        """Show how a cleanup ended."""
        for kind, name in report.foreign:
            self._out.print(f"left alone, lacks our tag: {kind.words} {escape(name)}")
        for file in report.files:
            self._out.print(f"removed {escape(str(file))}")
        for left in report.left:
            self._err.print(f"[red]left[/] {left.kind.words} {escape(left.name)}: {escape(left.error.fix)}")
        if report.complete:
            self._out.print("Nothing is left." if report.removed else "There was nothing to remove.")

    def error(self, error: ProvisionError) -> None:
        """Show an error and what to do about it."""
        self._err.print(f"[red]error:[/] {escape(str(error))}")
        self._err.print(f"[bold]fix:[/] {escape(error.fix)}")

    def interrupted(self) -> None:
        """Say how to go on after an interruption."""
        self._err.print("interrupted; the same command goes on from here, and cleanup removes what is there")

    def _agreed(self) -> bool:
        if not self._ask:
            return True
        try:
            return self._err.input("Go on? (y/N) ").strip().lower() in ("y", "yes")
        except EOFError:
            return False

    def _step(self, step: Step) -> None:
        note = "" if step.action is not Action.KEEP else "[dim]as wanted[/]"
        mark, kind = _MARKS[step.action], step.wanted.kind.words
        self._out.print(f"{mark} {kind:<20} {escape(step.wanted.name)} {note}".rstrip())
        for change in step.changes:
            self._out.print(f"    {change.field}: {escape(_brief(change.before))} → {escape(_brief(change.after))}")


class Programs(Silent):
    """Talks to programs: one JSON document at the end, on the standard output, for errors too.

    Agrees to everything: a program that wants to look first asks for the plan.
    """

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
        self._say({"changed": made.changed, "resources": resources, "environment": made.environment(), "env_file": env})

    def inventory(self, inventory: Inventory) -> None:
        """Tell what is there."""
        self._say({"resources": _inventory_rows(inventory)})

    def cleaned(self, report: CleanupReport) -> None:
        """Tell what is gone, and what is left and why."""
        self._say(
            {
                "complete": report.complete,
                "removed": _pairs(report.removed),
                "foreign": _pairs(report.foreign),
                "left": [{"kind": one.kind, "name": one.name, **_plain_error(one.error)} for one in report.left],
                "files": [str(file) for file in report.files],
            }
        )

    def error(self, error: ProvisionError) -> None:
        """Tell an error and what to do about it."""
        self._say(_plain_error(error))

    def interrupted(self) -> None:
        """Tell that the work was interrupted."""
        self._say({"error": "Interrupted", "message": "interrupted", "fix": "run the same command again"})

    def _say(self, document: dict[str, Any]) -> None:
        self._out.write(json.dumps(document, indent=2, default=_plain) + "\n")


def _inventory_rows(inventory: Inventory) -> list[dict[str, str]]:
    prefix = inventory.names.target.prefix
    return [
        {
            "kind": kind,
            "name": inventory.names.of(kind),
            "arn": one.arn if one else "",
            "state": "absent" if one is None else one.phase if one.belongs_to(prefix) else "foreign",
        }
        for kind, one in inventory.observed.items()
    ]


def _pairs(resources: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"kind": kind, "name": name} for kind, name in resources]


def _plain_error(error: ProvisionError) -> dict[str, str]:
    return {"error": type(error).__name__, "message": str(error), "fix": error.fix}


def _plain_change(change: Change) -> dict[str, Any]:
    return {"field": change.field, "before": change.before, "after": change.after}


def _plain(value: Any) -> Any:
    """What JSON has no word for: specifications as objects, sets as lists."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else sorted(value)


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=_plain)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
