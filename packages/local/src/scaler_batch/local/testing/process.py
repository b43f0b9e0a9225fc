"""What the ``credential_process`` of a test runs: does what a file beside it says. Needs nothing but Python."""

import json
import sys
import time
from typing import Any

LOOK_EVERY = 0.02


def main(state: str, calls: str) -> int:
    """Do what the file ``state`` says, and note in ``calls`` that this was run. Returns the exit code."""
    with open(calls, "a") as log:
        log.write("called\n")
    order = read(state)
    while order["do"] == "hang":
        time.sleep(LOOK_EVERY)
        order = read(state)
    if order["do"] == "fail":
        sys.stderr.write(order["text"])
        return 1
    if order["do"] == "give":
        expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + order["seconds"]))
        order["text"] = json.dumps({**order["credentials"], "Version": 1, "Expiration": expiry})
    sys.stdout.write(order["text"])
    return 0


def read(state: str) -> dict[str, Any]:
    """What the file says now."""
    with open(state) as file:
        return dict(json.load(file))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
