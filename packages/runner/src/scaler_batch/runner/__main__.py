"""``python -m scaler_batch.runner``, the command of every job definition.

A job may be shorter than an interpreter's start and end, so both are kept short here: nothing is collected while
modules load, what they leave is never looked at again (nor copied, in the children), and at the end the process goes
without being taken apart.
"""

from __future__ import annotations

import gc


def _run() -> int:
    gc.disable()
    from scaler_batch.runner.main import main

    gc.freeze()
    gc.enable()
    return main()


if __name__ == "__main__":
    code = _run()

    from scaler_batch.runner.forked import leave

    leave(code)
