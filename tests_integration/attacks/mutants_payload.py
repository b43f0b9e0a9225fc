"""Checks of what travels through the bucket, each turned off."""

from __future__ import annotations

from mutate import Mutant

_PACK = ("test_payload.py::test_a_pack_that_was_overwritten_is_not_run",)
_PARTS = ("test_payload.py::test_no_part_of_a_pack_in_parts_is_run_that_was_overwritten",)
_PLACES = ("test_payload.py::test_a_bundle_is_not_run_in_the_place_of_another",)
_OBJECT = ("test_payload.py::test_an_object_of_the_same_size_is_not_read_in_the_place_of_another",)
_SIGNED = ("test_payload.py::test_what_a_job_has_not_signed_answers_for_none_of_its_tasks",)
_NAMES = ("test_payload.py::test_names_that_a_job_has_not_given_cost_nothing_but_their_listing",)
_JUNK = ("test_payload.py::test_junk_in_the_place_of_an_outcome_keeps_no_job_from_answering",)
_FIRST = ("test_payload.py::test_an_answer_that_nobody_signed_is_not_taken_for_that_of_another_attempt",)
_SECOND = ("test_payload.py::test_a_second_attempt_runs_what_only_an_unsigned_object_answers",)
_ENVIRONMENT = ("test_payload.py::test_a_task_does_not_find_the_payload_key_in_the_environment",)
_READER = ("test_payload.py::test_who_reads_jobs_cannot_answer_for_them_where_there_is_a_payload_key",)

MUTANTS = [
    Mutant(
        "a pack is whatever lies there",
        "scaler_batch.runner.loading",
        "    check_digest(found, pack.digest, key)\n",
        "",
        _PACK,
    ),
    Mutant(
        "the table of a pack is whatever lies there",
        "scaler_batch.payload.parts",
        '    check_digest(sealed, digest, "the table of the pack")\n',
        "",
        _PARTS,
    ),
    Mutant(
        "the hashes of parts are whatever lies there",
        "scaler_batch.payload.parts",
        '        check_digest(page, _hash_at(plan.hashes, number), "the table of the pack")\n',
        "        pass\n",
        _PARTS + _PLACES,
    ),
    Mutant(
        "a part of a pack is whatever lies there",
        "scaler_batch.payload.parts",
        '        check_digest(part, _hash_at(pages[number // PAGE], number % PAGE), "a part of the pack")\n',
        "        pass\n",
        _PARTS,
    ),
    Mutant(
        "an object is whatever lies there",
        "scaler_batch.payload.objects",
        "    check_digest(body, digest_in(reference.key), reference.key)\n",
        "",
        _OBJECT,
    ),
    Mutant(
        "bytes are those whose hash was given",
        "scaler_batch.payload.hashing",
        "    if digest(data) != expected:\n",
        "    if False:\n",
        _PACK + _OBJECT,
    ),
    Mutant(
        "every signature is right",
        "scaler_batch.payload.seals",
        "        if not compare_digest(self.sign(facts, [body]), bytes(signature)):\n",
        "        if False:\n",
        _SIGNED,
    ),
    Mutant(
        "a signature goes for every place",
        "scaler_batch.payload.seals",
        'return "object", self._run, self._sequence, self._child, key',
        'return "object", self._run, self._sequence, self._child',
        _SIGNED,
    ),
    Mutant(
        "a signature goes for every body",
        "scaler_batch.payload.seals",
        "return self._mac(_SIGN, encode_facts(*facts), body)",
        "return self._mac(_SIGN, encode_facts(*facts))",
        _SIGNED,
    ),
    Mutant(
        "everybody can guess the key of a run",
        "scaler_batch.payload.seals",
        "return cls(secrets.token_bytes(KEY_SIZE))",
        "return cls(bytes(KEY_SIZE))",
        _SIGNED,
    ),
    Mutant(
        "a small outcome needs no signature",
        "scaler_batch.tasks.io.collect",
        "envelope = command.seal.open(command.key, sealed)",
        "envelope = memoryview(sealed)",
        _SIGNED,
    ),
    Mutant(
        "a large outcome needs no signature",
        "scaler_batch.tasks.io.collect",
        "decode_outcomes(seal.open(key, sealed), positions=positions)",
        "decode_outcomes(sealed, positions=positions)",
        _SIGNED,
    ),
    Mutant(
        "an outcome that was refused was the last word of its job",
        "scaler_batch.tasks.state.collecting",
        "        core.jobs.reopen(job)\n",
        "",
        _SIGNED,
    ),
    Mutant(
        "any name is that of an outcome",
        "scaler_batch.tasks.state.watching",
        "not job.seal.owns(found) or ",
        "",
        _NAMES,
    ),
    Mutant(
        "there is one place for an outcome",
        "scaler_batch.runner.publication",
        "for place in range(PLACES)",
        "for place in range(1)",
        _JUNK + _FIRST,
    ),
    Mutant(
        "what lies in the place of an outcome answers its call",
        "scaler_batch.runner.publication",
        "decode_outcomes(request.seal.open(key, store.get(key)))",
        "decode_outcomes(store.get(key))",
        _FIRST,
    ),
    Mutant(
        "what earlier attempts have answered needs no signature",
        "scaler_batch.runner.loading",
        "envelope = request.seal.open(key, store.get(key))",
        "envelope = store.get(key)",
        _SECOND,
    ),
    Mutant(
        "the payload key stays in the environment",
        "scaler_batch.runner.main",
        "    forget_variable(PAYLOAD_KEY_VARIABLE)\n",
        "",
        _ENVIRONMENT,
    ),
    Mutant(
        "the payload key stays in the memory that the kernel shows",
        "scaler_batch.runner.forgetting",
        "                memory.write(bytes(len(entry)))\n",
        "                pass\n",
        _ENVIRONMENT,
    ),
    Mutant(
        "the key of a submission travels although there is a payload key",
        "scaler_batch.tasks.state.submission",
        "key.reveal() if shared is None else",
        "key.reveal() if True else",
        _READER,
    ),
]
