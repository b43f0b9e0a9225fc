from __future__ import annotations

import inspect
import re

from scaler_batch.tasks import errors


def tree() -> dict[str, str]:
    """Read the tree from the module's docstring: each class with the one it hangs below."""
    above: list[str] = []
    found: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)(\w+Error)\b", line):
            depth = len(match[1]) // 4
            found[match[2]] = above[depth - 1] if depth else "Exception"
            above[depth:] = [match[2]]
    return found


def test_the_tree_in_the_docstring_is_the_one_in_the_code():
    classes = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert tree() == {name: kind.__bases__[0].__name__ for name, kind in classes.items()}
