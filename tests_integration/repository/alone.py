"""Look at one distribution installed alone: run by the `wheels` session in an environment that holds nothing else.

python alone.py scaler-batch-runner
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

NEVER_BESIDE = {
    # What runs in a container is small and starts fast, and never takes part in Scaler's conversation.
    "scaler-batch-runner": ("scaler", "zmq", "boto3"),
    "scaler-batch-payload": ("scaler", "zmq", "boto3"),
    # Speaking a protocol needs neither its reference implementation nor AWS.
    "scaler-batch-wire": ("scaler", "boto3", "cloudpickle"),
}
"""What must not even be installable by accident: names that the environment of a distribution may not know."""


def main(distribution: str) -> int:
    """Print what is wrong, or what was seen; return the exit status."""
    package = importlib.import_module(distribution.replace("-", "_").replace("scaler_batch_", "scaler_batch."))
    optional = dict(missing_in(package))
    faults = list(find_faults(distribution, package.__version__, optional))
    for fault in faults:
        print(f"{distribution}: {fault}", file=sys.stderr)
    if not faults:
        print(f"{distribution} {package.__version__}: every module imported alone, typed, version as in its metadata")
        for module, name in optional.items():
            print(f"  but {module}, which needs {name} from an extra")
    return 1 if faults else 0


def missing_in(package: ModuleType) -> Iterator[tuple[str, str]]:
    """Import every module of the package; yield those that cannot be, each with the name that is not installed."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda name: None):
        if module.name.endswith(".__main__"):
            continue  # importing it would run it
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            yield module.name, str(error.name)


def find_faults(distribution: str, version: str, optional: dict[str, str]) -> Iterator[str]:
    """Compare what was installed with what it says of itself."""
    declared = importlib.metadata.version(distribution)
    if version != declared:
        yield f"__version__ is {version}, the metadata says {declared}"
    if not any(file.name == "py.typed" for file in importlib.metadata.files(distribution) or ()):
        yield "the wheel has no py.typed"
    if optional and not importlib.metadata.metadata(distribution).get_all("Provides-Extra"):
        yield f"has no extras, but modules that cannot be imported: {optional}"
    if "scaler" in sys.modules:
        yield "importing it imported scaler"
    for name in NEVER_BESIDE.get(distribution, ()):
        if importlib.util.find_spec(name) is not None:
            yield f"its environment holds {name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
