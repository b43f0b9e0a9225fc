"""Speak OpenGRIS Scaler's protocol to a scheduler and its object storage, from the worker's side."""

__version__ = "0.1.0"
