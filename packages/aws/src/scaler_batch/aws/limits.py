"""Limits of AWS, each with where it stands."""

from __future__ import annotations

from typing import Final

SUBMITS_PER_SECOND: Final = 50.0
"""SubmitJob calls a second, of an account in a region. Source: AWS Batch service quotas."""

DESCRIBE_JOBS: Final = 100
"""Jobs of one DescribeJobs at most. Source: AWS Batch API reference."""

TERMINATE_JOBS: Final = 50
"""Jobs of one TerminateJobs at most. Source: AWS Batch API reference."""

LIST_JOBS: Final = 1000
"""Jobs of one page of ListJobs at most, when children of an array are listed. Source: AWS Batch API reference."""

EXIT_RULES: Final = 5
"""Rules of one retry strategy at most. Source: AWS Batch API reference, RetryStrategy.evaluateOnExit."""

MOST_ATTEMPTS: Final = 10
"""Attempts of a job at most. Source: AWS Batch API reference, RetryStrategy.attempts."""

LARGEST_ARRAY: Final = 10_000
"""Children of an array at most. Source: AWS Batch user guide, array jobs."""

SHORTEST_TIMEOUT: Final = 60
"""Seconds of a job's timeout at least. Source: AWS Batch API reference, JobTimeout."""
