"""``scaler-batch-harness``: some small tasks through a real Scaler client, to see that everything works.

This is the one module of scaler-batch that imports ``scaler``, and only when a test runs; install it with the extra
``[harness]``.
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cloudpickle  # type: ignore[import-untyped]

from scaler_batch.aws import printable

if TYPE_CHECKING:
    from scaler import Client  # type: ignore[import-untyped]

_RULE: Final = "=" * 50

EXIT_PASSED, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def simple_task(x: int) -> int:
    """Double a number."""
    return x * 2


def compute_task(n: int) -> float:
    """Do a little arithmetic."""
    return sum(i * i * 0.01 for i in range(n))


@dataclass(frozen=True, slots=True)
class Check:
    """One test of the harness.

    Attributes:
        submitting: What is announced before.
        run: Does it.
        show: Turns the result into the line that is printed.
        expected: What the result has to be.
    """

    submitting: str
    run: Callable[[Client], Any]
    show: Callable[[Any], str]
    expected: Any


CHECKS: Final = {
    "sqrt": Check(
        "math.sqrt(16)",
        lambda client: client.submit(math.sqrt, 16).result(),
        lambda result: f"Result: {result}",
        4.0,
    ),
    "simple": Check(
        "simple_task(21) [returns x * 2]",
        lambda client: client.submit(simple_task, 21).result(),
        lambda result: f"Result: {result}",
        42,
    ),
    "map": Check(
        "client.map(simple_task, [0,1,2,3,4])",
        lambda client: client.map(simple_task, [0, 1, 2, 3, 4]),
        lambda result: f"Results: {result}",
        [0, 2, 4, 6, 8],
    ),
    "compute": Check(
        "compute_task(1000) [sum of i*i*0.01 for i in range(1000)]",
        lambda client: client.submit(compute_task, 1000).result(),
        lambda result: f"Result: {result:.2f}",
        compute_task(1000),
    ),
}
"""Those of ``--test all``."""

LARGER: Final = {
    "map_100": Check(
        "client.map(simple_task, range(100))",
        lambda client: client.map(simple_task, range(100)),
        lambda results: f"Results: {len(results)}, the last is {results[-1]}",
        [2 * number for number in range(100)],
    ),
}
"""Those that run only when they are named."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tests and return 0 if all passed, 1 if not, 2 for wrong options."""
    options = _parser().parse_args(argv)
    try:
        from scaler import Client
    except ImportError:
        _say('the harness needs Scaler\'s client: pip install "scaler-batch-adapter[harness]"')
        return EXIT_USAGE
    # A container has no scaler_batch.adapter: the functions travel by value, as those of a user's script do.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    _say(f"{_RULE}\nAWS HPC Worker Adapter Test Harness\n{_RULE}\nScheduler: {options.scheduler}")
    names = list(CHECKS) if options.test == "all" else [options.test]
    deadline = _Deadline(options.timeout)
    try:
        client = deadline.call(lambda: Client(address=options.scheduler))
    except Exception as error:
        _say(f"Failed to connect to scheduler: {_describe(error)}")
        return EXIT_FAILED
    _say("Connected to scheduler")
    try:
        passed = sum(_passes(name, client, deadline) for name in names)
    finally:
        deadline.call(client.disconnect)
    _say(f"\n{_RULE}\nResults: {passed}/{len(names)} passed")
    return EXIT_PASSED if passed == len(names) else EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="scaler-batch-harness", description="Run a few tasks through a Scaler scheduler and check the results."
    )
    command.add_argument("--scheduler", required=True, metavar="tcp://HOST:PORT", help="address of the scheduler")
    command.add_argument(
        "--test",
        choices=["all", *CHECKS, *LARGER],
        default="all",
        help="which test to run; all: the first four (default: all)",
    )
    command.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="seconds to wait for one test (default: 300)"
    )
    return command


def _passes(name: str, client: Client, deadline: _Deadline) -> bool:
    check = (CHECKS | LARGER)[name]
    _say(f"\n--- Test: {name} ---\n  Submitting: {check.submitting}")
    try:
        result = deadline.call(lambda: check.run(client))
    except Exception as error:
        _say(f"  FAILED: {_describe(error)}")
        return False
    _say(f"  {check.show(result)}")
    if result != check.expected:
        _say(f"  FAILED: expected {check.expected}")
        return False
    _say("  PASSED")
    return True


class _Deadline:
    """Bounds calls that take no timeout themselves, as ``client.map`` does not.

    Args:
        seconds: How long one call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def call(self, function: Callable[[], Any]) -> Any:
        """Return what ``function`` returns, or raise what it raises, or TimeoutError when it takes too long."""
        outcome: list[tuple[Any, Exception | None]] = []

        def run() -> None:
            try:
                outcome.append((function(), None))
            except Exception as error:
                outcome.append((None, error))

        # A daemon: a call that never ends shall not keep the harness from ending.
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self._seconds)
        if not outcome:
            raise TimeoutError(f"Timeout waiting for result ({self._seconds:g} s)")
        result, error = outcome[0]
        if error is not None:
            raise error
        return result


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"


def _say(text: str) -> None:
    print(printable(text), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
