from __future__ import annotations

from scaler_batch.payload.testing import MemoryStore


async def test_a_memory_store_shows_what_lies_where() -> None:
    store = MemoryStore()
    await store.put("packs/1", [b"da", memoryview(b"ta")])
    assert store.objects == {"packs/1": b"data"}
