from __future__ import annotations

import hashlib
import re

from scaler_batch.wire.identifiers import (
    new_manager_id,
    new_object_id,
    new_result_id,
    new_task_id,
    new_worker_id,
    serializer_id,
)

CLIENT = b"Client|" + b"0" * 32


def test_a_worker_id_shows_the_name_and_is_new_each_time() -> None:
    assert re.fullmatch(rb"Worker\|batch\|[0-9a-f]{32}", new_worker_id("batch"))
    assert new_worker_id("batch") != new_worker_id("batch")


def test_a_manager_id_shows_the_name() -> None:
    assert re.fullmatch(rb"WorkerManager\|batch\|[0-9a-f]{32}", new_manager_id("batch"))


def test_a_result_belongs_to_the_client_and_is_new_each_time() -> None:
    one, two = new_result_id(CLIENT), new_result_id(CLIENT)
    assert len(one) == 32
    assert one[:16] == two[:16] == hashlib.md5(CLIENT).digest()
    assert one != two
    assert new_object_id(CLIENT)[:16] == one[:16]


def test_a_clients_serializer_is_found_under_a_known_id() -> None:
    assert serializer_id(CLIENT) == hashlib.md5(CLIENT).digest() + bytes.fromhex("84f6fb7cd5cd53b5679489a29396448f")


def test_a_task_id_is_16_bytes() -> None:
    assert len(new_task_id()) == 16
