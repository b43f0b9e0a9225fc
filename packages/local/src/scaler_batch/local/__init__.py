"""AWS on one machine: Batch, S3 and what surrounds them, with jobs as local processes."""

__version__ = "0.1.0"
