"""Looks, from within, at an image that was just built. Run as ``python -c "$(cat check.py)" NAME==VERSION …``.

The image may hold what is named and what the base image brings, and nothing else: what is there by accident is missed
by whoever comes to rely on it, and costs every job its time to pull.
"""

import importlib
import os
import sys
from importlib.metadata import distributions

BASE = {"pip", "setuptools", "wheel"}

expected = set(sys.argv[1:])
installed = {each.name.lower().replace("_", "-"): each.version for each in distributions()}
found = {f"{name}=={version}" for name, version in installed.items() if name not in BASE}
if found != expected:
    sys.exit(f"missing: {sorted(expected - found)}, too many: {sorted(found - expected)}")
if os.getuid() == 0:
    sys.exit("jobs would run as root")
for module in ("scaler_batch.runner", "scaler_batch.payload.s3"):
    importlib.import_module(module)
print(f"Python {sys.version.split()[0]}, user {os.getuid()}:", *sorted(found))
