"""``python -m scaler_batch.adapter`` is ``scaler-batch-worker``."""

from scaler_batch.adapter.cli import program

program()
