"""Checks that keep tasks, jobs and leases apart, each turned off."""

from __future__ import annotations

from mutate import Mutant

_CLIENTS = ("test_jobs.py::test_a_client_neither_reads_nor_answers_for_tasks_of_another",)

MUTANTS = [
    Mutant(
        "nobody says whose a task is",
        "scaler_batch.adapter.translate",
        "source=task.source,",
        "source=b'',",
        _CLIENTS,
    ),
    Mutant(
        "a job is filled with whatever task is next",
        "scaler_batch.tasks.scheduling",
        "or not line or line[0][2].request.priority < first.request.priority:\n            return None\n"
        "        return line[0][2]\n",
        ":\n            return None\n        return first\n",
        _CLIENTS,
    ),
]
