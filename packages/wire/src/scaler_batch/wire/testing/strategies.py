"""Hypothesis strategies for the messages; needs `hypothesis`, so it is not imported with the rest of `testing`."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from .. import messages as m

U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
BLOBS = st.binary(max_size=100)
# Surrogates are no characters; a text that holds one cannot be sent.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def tuples_of(element: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return a strategy for short tuples."""
    return st.lists(element, max_size=5).map(tuple)


capabilities = st.builds(m.Capability, TEXTS, I64)
arguments = st.builds(m.Argument, st.sampled_from(m.ArgumentKind), BLOBS)
resources = st.builds(m.Resource, U16, U64)
processors = st.builds(m.ProcessorStatus, U32, st.booleans(), st.booleans(), st.booleans(), resources, BLOBS, U32)
object_metadata = st.builds(
    m.ObjectMetadata,
    tuples_of(BLOBS),
    tuples_of(st.sampled_from(m.ObjectKind)),
    tuples_of(BLOBS),
    tuples_of(U64),
)
storage_addresses = st.builds(m.ObjectStorageAddress, TEXTS, U16, TEXTS)
desired = st.builds(m.DesiredTaskConcurrency, U32, tuples_of(capabilities))

BY_TYPE: dict[type[Any], st.SearchStrategy[Any]] = {
    m.Task: st.builds(m.Task, BLOBS, BLOBS, BLOBS, BLOBS, tuples_of(arguments), tuples_of(capabilities)),
    m.TaskCancel: st.builds(m.TaskCancel, BLOBS, st.builds(m.TaskCancelFlags, st.booleans())),
    m.TaskCancelConfirm: st.builds(m.TaskCancelConfirm, BLOBS, st.sampled_from(m.CancelOutcome)),
    m.TaskResult: st.builds(m.TaskResult, BLOBS, st.sampled_from(m.ResultKind), BLOBS, tuples_of(BLOBS)),
    m.TaskLog: st.builds(m.TaskLog, BLOBS, st.sampled_from(m.LogStream), TEXTS),
    m.ObjectInstruction: st.builds(m.ObjectInstruction, st.sampled_from(m.InstructionKind), BLOBS, object_metadata),
    m.WorkerHeartbeat: st.builds(
        m.WorkerHeartbeat,
        agent=resources,
        rss_free=U64,
        queue_size=U32,
        queued_tasks=U32,
        latency=U32,
        task_lock=st.booleans(),
        processors=tuples_of(processors),
        capabilities=tuples_of(capabilities),
        manager_id=BLOBS,
        memory_limit=U64,
        hostname=TEXTS,
        net_sent=U64,
        net_received=U64,
    ),
    m.WorkerHeartbeatEcho: st.builds(m.WorkerHeartbeatEcho, storage_addresses),
    m.ClientDisconnect: st.builds(m.ClientDisconnect, st.sampled_from(m.DisconnectKind)),
    m.WorkerDisconnectNotification: st.builds(m.WorkerDisconnectNotification),
    m.DisconnectRequest: st.builds(m.DisconnectRequest, BLOBS),
    m.DisconnectResponse: st.builds(m.DisconnectResponse, BLOBS),
    m.WorkerManagerHeartbeat: st.builds(m.WorkerManagerHeartbeat, U32, tuples_of(capabilities), BLOBS),
    m.WorkerManagerHeartbeatEcho: st.builds(m.WorkerManagerHeartbeatEcho),
    m.WorkerManagerCommand: st.builds(m.WorkerManagerCommand, tuples_of(desired)),
}
"""A strategy for each kind of message."""

ONLY_OLD = (m.DisconnectRequest, m.DisconnectResponse)
ONLY_NEW = (m.WorkerDisconnectNotification,)

messages_of_new_releases = st.one_of(*(made for type_, made in BY_TYPE.items() if type_ not in ONLY_OLD))
messages_of_old_releases = st.one_of(*(made for type_, made in BY_TYPE.items() if type_ not in ONLY_NEW))
