"""Checks between what a job writes into its log and the user's terminal, each turned off."""

from __future__ import annotations

from mutate import Mutant

_OUTPUT = "scaler_batch.adapter.output"
_FAKES = ("test_output.py::test_lines_that_look_like_the_runners_end_nothing_and_hide_nothing",)

MUTANTS = [
    Mutant(
        "every line that looks like the runner's counts", _OUTPUT, " and mark == self._mark is not None", "", _FAKES
    ),
    Mutant("the last word that is told counts", _OUTPUT, "if self._mark is None and event ==", "if event ==", _FAKES),
    Mutant(
        "what is streamed is obeyed",
        _OUTPUT,
        "printable(text, colours=True)",
        'text.encode("utf-8", "replace").decode()',
        _FAKES,
    ),
    Mutant(
        "what is explained is obeyed",
        "scaler_batch.provision.people",
        "return markup.escape(printable(text))",
        "return markup.escape(text)",
        ("test_output.py::test_nothing_of_a_job_is_obeyed_by_the_terminal_that_explains_it",),
    ),
    Mutant(
        "what is logged is obeyed",
        "scaler_batch.adapter.logs",
        "return printable(super().format(record))",
        "return super().format(record)",
        ("test_output.py::test_nothing_that_aws_or_a_job_says_is_obeyed_in_the_workers_log",),
    ),
]
