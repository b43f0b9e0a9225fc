"""The task manager that turns tasks into AWS Batch jobs and brings every outcome back exactly once."""

__version__ = "0.1.0"
