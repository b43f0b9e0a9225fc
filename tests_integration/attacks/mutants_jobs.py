"""Checks that keep tasks, jobs and leases apart, each turned off."""

from __future__ import annotations

from mutate import Mutant

_CLIENTS = ("test_jobs.py::test_a_client_neither_reads_nor_answers_for_tasks_of_another",)

_NEIGHBOUR = ("test_jobs.py::test_a_call_cannot_write_into_the_answer_of_its_neighbour",)
_BUCKET = ("test_jobs.py::test_a_task_reaches_nothing_in_the_bucket_but_inputs_and_outcomes",)
_TRAPS = ("test_jobs.py::test_a_call_leaves_no_trap_for_the_next",)

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
    Mutant(
        "jobs of several clients share a submission",
        "scaler_batch.tasks.scheduling",
        "if client is None or client == first.request.source:",
        "if True:",
        ("test_jobs.py::test_no_client_learns_the_key_of_anothers_jobs_from_the_parameters_of_its_own",),
    ),
    Mutant(
        "a process keeps the files of others",
        "scaler_batch.runner.forked",
        "        _close_all_but({answer, leash, *keep})\n",
        "",
        _NEIGHBOUR,
    ),
    Mutant(
        "processes of one user may look into each other",
        "scaler_batch.runner.privacy",
        "int(not is_hidden)",
        "1",
        _NEIGHBOUR,
    ),
    Mutant(
        "an answer is copied however large it is",
        "scaler_batch.runner.forked",
        ' if 0 < size <= most else b""',
        "",
        ("test_jobs.py::test_an_answer_that_was_stretched_crashes_its_own_call_only",),
    ),
    Mutant(
        "a process whose functions were replaced goes on",
        "scaler_batch.runner.surroundings",
        "if not self._are_functions_ours():",
        "if False:",
        ("test_jobs.py::test_a_call_that_patches_the_runner_answers_for_no_other",),
    ),
    *(
        Mutant(f"{what} stays as a call has left it", "scaler_batch.runner.surroundings", f"    {line}\n", "", _TRAPS)
        for what, line in (
            ("the umask", "Aspect(_umask, umask),"),
            ("the environment", "Aspect(_environment, _restore_environment),"),
            ("what signals do", "Aspect(_handlers, _restore_handlers),"),
            ("which signals are blocked", "Aspect(_mask, _restore_mask),"),
            ("where modules are looked for", "Aspect(_lists, _restore_lists),"),
            ("which warnings are errors", "Aspect(_filters, _restore_filters),"),
            ("how long connections may take", "Aspect(_defaults, _restore_defaults),"),
        )
    ),
    Mutant(
        "what is drawn next is as a call has left it",
        "scaler_batch.runner.surroundings",
        "            _renew_chance()\n",
        "",
        _TRAPS,
    ),
    Mutant(
        "jobs may write inputs",
        "scaler_batch.provision.policies",
        '"Action": "s3:PutObject", "Resource": f"{run}/{OUTCOMES}/*"}',
        '"Action": "s3:PutObject", "Resource": run}',
        _BUCKET,
    ),
    Mutant(
        "jobs may look at everything",
        "scaler_batch.provision.policies",
        'f"{prefix}/*/{OUTCOMES}/*"}},',
        'f"{prefix}/*"}},',
        _BUCKET,
    ),
    Mutant(
        "jobs are denied nothing",
        "scaler_batch.provision.policies",
        '"Effect": "Deny", "Action": "s3:*", "Resource": f"{bucket_arn}/{leases}/*"',
        '"Effect": "Deny", "Action": "s3:*", "Resource": f"{bucket_arn}/nothing"',
        _BUCKET,
    ),
    Mutant(
        "a lease is that of whichever worker it lies with",
        "scaler_batch.tasks.leases",
        "if key != self._key(run_id) or not is_run_of(self._worker, run_id):",
        "if False:",
        ("test_jobs.py::test_a_lease_among_those_of_another_worker_ends_no_job",),
    ),
    Mutant(
        "a process may have any number",
        "scaler_batch.tasks.leases",
        "if type(value) is not int or not least <= value <= most:",
        "if False:",
        ("test_jobs.py::test_what_is_not_a_lease_ends_neither_job_nor_worker",),
    ),
]
