"""The worker process that joins a Scaler scheduler and sends its tasks to AWS Batch."""

__version__ = "0.1.0"
