"""The state of a task manager: all of it, and the only place that changes it."""

from scaler_batch.tasks.state.machine import State

__all__ = ["State"]
