"""Objects that a bucket's lifecycle rules expire.

S3 adds the days of a rule to the time at which an object was stored, and rounds up to the next midnight UTC; from then
on the object is gone, whenever it is really deleted (S3 User Guide, "Expiring objects"). Here it is deleted when the
first request for the bucket comes after a midnight. Rules by prefix count; rules about tags or sizes do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from math import ceil
from typing import Any, Final

from moto.s3.models import FakeBucket, S3Backend, s3_backends

from ..web.chain import Answer, Call, Proceed

DAY: Final = 86_400.0


class LifecycleLayer:
    """Deletes what has expired before a request for its bucket is dealt with.

    Args:
        now: Seconds since 1970.
        day: Seconds that a day of a rule lasts.
    """

    def __init__(self, now: Callable[[], float], day: float = DAY) -> None:
        self._now = now
        self._day = day
        self._looked: dict[str, tuple[int, list[Any]]] = {}

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Have the bucket of a request without what has expired."""
        bucket = call.path.partition("/")[0] if call.service == "s3" else ""
        if bucket:
            self._sweep(bucket)
        return proceed()

    def _sweep(self, name: str) -> None:
        """Look at a bucket once a day, and once more when its rules have changed."""
        found = _bucket(name)
        if found is None or not found[1].rules:
            return
        backend, bucket = found
        today = int(self._now() // self._day)
        day, rules = self._looked.get(name, (None, None))
        if day != today or rules is not bucket.rules:
            self._looked[name] = today, bucket.rules
            for key in list(_expired(bucket, self._now(), self._day)):
                backend.delete_object(name, key)


def expiry(stored: float, days: int, day: float = DAY) -> float:
    """When an object expires that was stored at a moment, in seconds since 1970: at a midnight after so many days."""
    return ceil((stored + days * day) / day) * day


def _expired(bucket: FakeBucket, now: float, day: float) -> Iterator[str]:
    enabled = [each for each in bucket.rules if each.status == "Enabled"]
    rules = [(each, int(each.expiration_days)) for each in enabled if each.expiration_days]
    for key in list(bucket.keys.values()):
        stored = key.last_modified.replace(tzinfo=UTC).timestamp()
        if any(_is_about(rule, key.name) and expiry(stored, days, day) <= now for rule, days in rules):
            yield key.name


def _is_about(rule: Any, key: str) -> bool:
    """Whether a rule is about an object; rules that want tags are taken to be about none."""
    where = rule.filter
    if where is None:
        return key.startswith(rule.prefix or "")
    if where.and_filter is not None or where.tag_key is not None:
        return False
    return key.startswith(where.prefix or "")


def _bucket(name: str) -> tuple[S3Backend, FakeBucket] | None:
    found = s3_backends.bucket_accounts.get(name)
    if found is None:
        return None
    partition, account = found
    backend = s3_backends[account][partition]
    bucket = backend.buckets.get(name)
    return None if bucket is None else (backend, bucket)
