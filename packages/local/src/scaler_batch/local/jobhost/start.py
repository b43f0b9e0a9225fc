"""Where a job host begins: ``python start.py OPTIONS``, with the socket to the server as its standard input.

This file is run by its path, perhaps by an interpreter that has never heard of ``scaler_batch.local``. It loads the
folder it lies in as a package of another name, and leaves no trace of itself on the import path.
"""

import sys

NAME = "scaler_batch_job_host"


def load() -> None:
    """Make this folder importable under a name of its own."""
    import os

    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        NAME, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load the job host from {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load()
    import importlib

    importlib.import_module(f"{NAME}.begin").main(sys.argv[1:])
