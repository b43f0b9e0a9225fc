"""One run of the benchmark, whole, as it goes into a file and comes out again."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from authentication_costs import AuthenticationCost
from bench.limits import Rate
from bench.measuring import Sample
from bench.recovery import Recovery
from payload_costs import PayloadCost
from startup_costs import StartupCost
from wire_costs import CodecCost, IdleCost


@dataclass(frozen=True)
class Memory:
    """The adapter's resident memory after so many tasks, in bytes."""

    tasks: int
    resident: int


@dataclass(frozen=True)
class Results:
    """Everything that was measured.

    Attributes:
        machine: What it was measured on, by name of the fact.
        samples: Each run of each row.
        recovery: After the adapter was killed.
        memory: Of our adapter over many tasks.
        startup: What a job costs beside its call.
        payload: What writing and reading calls costs.
        codec: What messages cost.
        link: What an idle connection costs.
        rates: What the local AWS answers.
        authentication: What hashes and signatures add; nothing in files that are older than these.
    """

    machine: dict[str, str]
    samples: list[Sample]
    recovery: list[Recovery] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    startup: list[StartupCost] = field(default_factory=list)
    payload: list[PayloadCost] = field(default_factory=list)
    codec: list[CodecCost] = field(default_factory=list)
    link: list[IdleCost] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    authentication: list[AuthenticationCost] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


_KINDS: dict[str, Any] = {
    "samples": Sample,
    "recovery": Recovery,
    "memory": Memory,
    "startup": StartupCost,
    "payload": PayloadCost,
    "codec": CodecCost,
    "link": IdleCost,
    "rates": Rate,
    "authentication": AuthenticationCost,
}


def read(path: Path) -> Results:
    """Read what :meth:`Results.write` has written."""
    found = json.loads(path.read_text())
    tables = {name: [kind(**row) for row in found.get(name, ())] for name, kind in _KINDS.items()}
    return Results(machine=found["machine"], **tables)


def machine() -> dict[str, str]:
    """Describe the machine, and what is installed on it."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{os.cpu_count()} cores of {_processor()}",
        "system": f"{platform.system()} {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("opengris-scaler", "scaler-batch-adapter", "moto", "boto3", "obstore")},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "an unknown kind")
