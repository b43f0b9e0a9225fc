"""What keeps the data of tasks from those who describe jobs and read logs, turned off one by one."""

from __future__ import annotations

from mutate import Mutant

_JOBS = "test_privacy.py::test_whoever_describes_jobs_learns_nothing_of_private_tasks"
_JOB_LOGS = "test_privacy.py::test_whoever_reads_the_logs_of_jobs_learns_nothing_of_private_tasks"
_WORKER_LOG = "test_privacy.py::test_whoever_reads_the_log_of_a_worker_learns_nothing_of_tasks_or_credentials"

MUTANTS = [
    Mutant(
        "private packs travel through S3",
        "scaler_batch.payload.placement",
        "if pack.size > inline_limit:",
        "if pack.size > INLINE_LIMIT:",
        (_JOBS,),
    ),
    Mutant(
        "private jobs name no functions",
        "scaler_batch.runner.request",
        "private=bool(environment.get(PRIVATE_VARIABLE)),",
        "private=False,",
        (_JOB_LOGS,),
    ),
    Mutant(
        "the libraries below show no requests",
        "scaler_batch.aws.quiet",
        "        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger(name).level))\n",
        "        pass\n",
        (_WORKER_LOG,),
    ),
    Mutant(
        "nor where one of their loggers is named",
        "scaler_batch.aws.quiet",
        "            logging.getLogger(name).setLevel(logging.NOTSET)  # as the one above says\n",
        "            pass\n",
        (_WORKER_LOG,),
    ),
]
