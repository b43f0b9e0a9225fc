"""The task manager against a model of AWS on virtual time: a million tasks in a minute, on one core."""

from scaler_batch.tasks.simulation.figures import Cloud
from scaler_batch.tasks.simulation.report import Report
from scaler_batch.tasks.simulation.simulator import Simulator, simulate, simulate_upstream
from scaler_batch.tasks.simulation.workloads import WORKLOADS, Workload, bursts, chained, mixed, trickle, uniform

__all__ = [
    "WORKLOADS",
    "Cloud",
    "Report",
    "Simulator",
    "Workload",
    "bursts",
    "chained",
    "mixed",
    "simulate",
    "simulate_upstream",
    "trickle",
    "uniform",
]
