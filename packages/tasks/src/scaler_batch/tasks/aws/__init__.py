"""AWS Batch through boto3, and nothing else here imports it."""

from scaler_batch.tasks.aws.batch import BatchJobService
from scaler_batch.tasks.aws.budget import RateSettings

__all__ = ["BatchJobService", "RateSettings"]
