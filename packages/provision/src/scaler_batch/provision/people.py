"""What is said to people: with colour and progress on a terminal, plainly through a pipe.

Nothing here decides anything. Everything goes to the standard output, except questions, progress and errors, which go
to the standard error so that they do not end up in somebody's file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rich import markup
from rich.console import Console

from scaler_batch.aws import printable
from scaler_batch.provision.finding import Verdict
from scaler_batch.provision.plan import Action
from scaler_batch.provision.programs import inventory_rows, plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from rich.status import Status

    from scaler_batch.provision.apply import CleanupReport
    from scaler_batch.provision.errors import ProvisionError
    from scaler_batch.provision.explanation import Explanation
    from scaler_batch.provision.finding import Finding
    from scaler_batch.provision.plan import AdoptionPlan, Change, Plan, RemovalPlan, Step
    from scaler_batch.provision.results import AdoptionReport, BuildReport, Inventory, ProvisionedResources

_MARKS: Final = {
    Action.CREATE: "[green]+[/]",
    Action.CHANGE: "[yellow]~[/]",
    Action.AWAIT: "[yellow]…[/]",
    Action.KEEP: " ",
}
_VERDICTS: Final = {
    Verdict.OK: "[green]ok      [/]",
    Verdict.WARNING: "[yellow]warning [/]",
    Verdict.PROBLEM: "[red]problem [/]",
    Verdict.SKIPPED: "[dim]skipped [/]",
}
_LONGEST_VALUE: Final = 60
_UNPROVEN: Final = (
    "run this where the JSON file lies that `provision` wrote (--config); if it is lost and these are yours, run "
    "`scaler-batch-provision adopt` with the same --prefix and --region, and then this again"
)


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
        self.asks = ask
        self._status: Status | None = None

    def agrees_to(self, plan: Plan) -> bool:
        """Show the plan, and ask if asking is wanted."""
        self.plan(plan)
        return self._agreed()

    def agrees_to_removal(self, plan: RemovalPlan) -> bool:
        """Show what is to be removed, and ask if asking is wanted."""
        self.removal(plan)
        return self._agreed()

    def agrees_to_adoption(self, plan: AdoptionPlan) -> bool:
        """Show what is to be taken over, and ask if asking is wanted."""
        self.adoption(plan)
        return self._agreed()

    def adoption(self, plan: AdoptionPlan) -> None:
        """Show what would be taken over."""
        for one in plan.adopt:
            self._out.print(f"[yellow]![/] {one.kind.words:<20} {escape(one.observed.name)}: {escape(one.reason)}")
        if not plan.adopt:
            self._out.print("There is nothing to take over.")

    def removal(self, plan: RemovalPlan) -> None:
        """Show what a cleanup would remove."""
        for kind, observed in plan.remove:
            self._out.print(f"[red]-[/] {kind.words:<20} {escape(observed.name)}")
        if not plan.remove:
            self._out.print("There is nothing to remove.")

    def doing(self, words: str) -> None:
        """Show what begins, where it can be shown in passing."""
        if self._err.is_terminal:
            self._rest()
            self._status = self._err.status(f"{escape(words)} …")
            self._status.start()

    def waiting(self, words: str) -> None:
        """Show what is being waited for: in passing, or, through a pipe, a line each."""
        if self._status:
            self._status.update(escape(words))
        else:
            self._err.print(f"[dim]  waiting for {escape(words)}[/]")

    def progress(self, words: str) -> None:
        """Show how far a long step is."""
        if self._status:
            self._status.update(escape(words))
        else:
            self._err.print(f"[dim]  {escape(words)}[/]")

    def done(self, words: str) -> None:
        """Show what is done."""
        self._rest()
        self._out.print(f"[green]done[/] {escape(words)}")

    def failed(self, words: str, error: ProvisionError) -> None:
        """Show what could not be done, at once: the work goes on."""
        self._rest()
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
        for kind, change in made.obstacles:
            self._out.print(f"[yellow]not as wanted:[/] {kind.words}")
            self._change(change)
        for name, value in made.environment().items():
            self._out.print(f"  {name}={escape(value)}")
        self._out.print(f"Load these into a shell with: source {escape(env)}")

    def built(self, report: BuildReport) -> None:
        """Show what building an image came to."""
        self._err.print("built and pushed:" if report.built else "it was there already:")
        self._out.print(escape(report.image))

    def inventory(self, inventory: Inventory) -> None:
        """Show what is there."""
        for row in inventory_rows(inventory):
            state = "[dim]absent[/]" if row["state"] == "absent" else row["state"]
            self._out.print(f"{row['kind'].replace('_', ' '):<20} {state:<8} {escape(row['arn'] or row['name'])}")

    def cleaned(self, report: CleanupReport) -> None:
        """Show how a cleanup ended."""
        for kind, name in report.foreign:
            lacks = "not known to be ours" if (kind, name) in report.unproven else "lacks our tags"
            self._out.print(f"left alone, {lacks}: {kind.words} {escape(name)}")
        if report.unproven:
            self._err.print(f"[bold]fix:[/] {_UNPROVEN}")
        for file in report.files:
            self._out.print(f"removed {escape(str(file))}")
        for left in report.left:
            self._err.print(f"[red]left[/] {left.kind.words} {escape(left.name)}: {escape(left.error.fix)}")
        if report.complete:
            self._out.print("Nothing is left." if report.removed else "There was nothing to remove.")

    def adopted(self, report: AdoptionReport) -> None:
        """Show what was taken over."""
        for kind, name in report.foreign:
            self._out.print(f"left alone, lacks our tags: {kind.words} {escape(name)}")
        self._out.print(f"{len(report.adopted)} resources taken over.")

    def findings(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Show what an examination finds, each as soon as it is known, and return all."""
        shown = []
        for finding in findings:
            self._out.print(f"{_VERDICTS[finding.verdict]} {finding.subject}: {escape(finding.message)}")
            if finding.fix:
                self._out.print(f"         [bold]fix:[/] {escape(finding.fix)}")
            shown.append(finding)
        return tuple(shown)

    def explanation(self, explanation: Explanation) -> None:
        """Show why a job waits, or what it died of."""
        self._out.print(f"[bold]{escape(explanation.job)}[/] {explanation.status}")
        for sentence in explanation.story:
            self._out.print(f"  {escape(sentence)}")
        if explanation.fix:
            self._out.print(f"[bold]fix:[/] {escape(explanation.fix)}")
        if explanation.log_stream:
            self._out.print(f"the end of its log, {escape(explanation.log_stream)}:")
        for line in explanation.log:
            self._out.print(f"  | {escape(line)}")

    def error(self, error: ProvisionError) -> None:
        """Show an error and what to do about it."""
        self._rest()
        self._err.print(f"[red]error:[/] {escape(str(error))}")
        self._err.print(f"[bold]fix:[/] {escape(error.fix)}")

    def interrupted(self) -> None:
        """Say how to go on after an interruption."""
        self._rest()
        self._err.print("interrupted; the same command goes on from here, and cleanup removes what is there")

    def _rest(self) -> None:
        """Take away what was shown in passing."""
        if self._status:
            self._status.stop()
        self._status = None

    def _agreed(self) -> bool:
        if not self.asks:
            return True
        try:
            return self._err.input("Go on? (y/N) ").strip().lower() in ("y", "yes")
        except EOFError:
            return False

    def _change(self, change: Change) -> None:
        before, after = escape(_brief(change.before)), escape(_brief(change.after))
        if change.obstacle:
            self._out.print(f"    [yellow]{change.field} stays {before}[/], not {after}: {escape(change.obstacle)}")
        else:
            self._out.print(f"    {change.field}: {before} → {after}")

    def _step(self, step: Step) -> None:
        note = "[dim]as wanted[/]" if step.action is Action.KEEP and not step.changes else ""
        mark, kind = _MARKS[step.action], step.wanted.kind.words
        self._out.print(f"{mark} {kind:<20} {escape(step.wanted.name)} {note}".rstrip())
        for change in step.changes:
            self._change(change)


def _brief(value: Any) -> str:
    text = (value or "none") if isinstance(value, str) else json.dumps(value, default=plain)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def escape(text: str) -> str:
    """What others wrote, neither obeyed by a terminal nor taken for our markup."""
    return markup.escape(printable(text))
