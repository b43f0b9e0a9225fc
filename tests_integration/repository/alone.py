"""Look at one distribution installed alone: run by the `wheels` session in an environment that holds nothing else.

python alone.py scaler-batch-runner
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys

NEVER_BESIDE = {
    # What runs in a container is small and starts fast, and never takes part in Scaler's conversation.
    "scaler-batch-runner": ("scaler", "zmq", "boto3"),
    "scaler-batch-payload": ("scaler", "zmq", "boto3"),
    # Speaking a protocol needs neither its reference implementation nor AWS.
    "scaler-batch-wire": ("scaler", "boto3", "cloudpickle"),
}
"""What must not even be installable by accident: names that the environment of a distribution may not know."""


def main(distribution: str) -> int:
    """Print what is wrong, or one line that says what was seen; return the exit status."""
    module = importlib.import_module(distribution.replace("-", "_").replace("scaler_batch_", "scaler_batch."))
    faults = list(find_faults(distribution, module))
    for fault in faults:
        print(f"{distribution}: {fault}", file=sys.stderr)
    if not faults:
        print(f"{distribution} {module.__version__}: imported alone, typed, version as in its metadata")
    return 1 if faults else 0


def find_faults(distribution, module):
    """Compare what was installed with what it says of itself."""
    declared = importlib.metadata.version(distribution)
    if module.__version__ != declared:
        yield f"__version__ is {module.__version__}, the metadata says {declared}"
    if not any(file.name == "py.typed" for file in importlib.metadata.files(distribution) or ()):
        yield "the wheel has no py.typed"
    if "scaler" in sys.modules:
        yield "importing it imported scaler"
    for name in NEVER_BESIDE.get(distribution, ()):
        if importlib.util.find_spec(name) is not None:
            yield f"its environment holds {name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
