"""AWS Batch through boto3, and nothing else here imports it."""

from scaler_batch.tasks.aws.batch import BatchJobService

__all__ = ["BatchJobService"]
