"""The checks on what the scheduler, the object storage and those between may say, turned off one by one."""

from __future__ import annotations

from mutate import Mutant

_FORGED = "test_link.py::test_a_scheduler_with_a_certificate_of_its_own_gets_no_worker"
_STORAGE = "test_link.py::test_an_object_storage_with_a_certificate_of_its_own_gets_no_worker"
_COST = "test_link.py::test_a_message_costs_no_more_than_its_bytes_allow"

MUTANTS = [
    Mutant(
        "the certificate of the peer is verified",
        "scaler_batch.wire.tls",
        "ssl.create_default_context(cafile=self.ca)",
        "ssl._create_unverified_context(cafile=self.ca)",
        (_FORGED, _STORAGE),
    ),
    Mutant(
        "the certificate is made out to the host of the address",
        "scaler_batch.wire.tls",
        "        if self.certificate is not None:\n",
        "        context.check_hostname = False\n        if self.certificate is not None:\n",
        (_FORGED,),
    ),
    Mutant(
        "elements without a size are refused",
        "scaler_batch.wire.capnp",
        "if count and not data_words + pointers:",
        "if False:",
        (_COST,),
    ),
    Mutant(
        "elements of lists are counted",
        "scaler_batch.wire.capnp",
        "self.count(count * STRUCT_WEIGHT)",
        "self.count(0)",
        (_COST,),
    ),
    Mutant(
        "what is referred to is paid for each time",
        "scaler_batch.wire.capnp",
        "        self.budget -= words\n",
        "        self.budget -= 0\n",
        (_COST,),
    ),
    Mutant(
        "a peer that does not listen gets no answers to its pings",
        "scaler_batch.wire.stream",
        "if replies and self._writable.is_set():",
        "if replies:",
        ("test_link.py::test_a_peer_that_asks_and_does_not_listen_fills_no_memory_with_answers",),
    ),
]
