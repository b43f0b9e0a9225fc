"""The checks of what goes into the image, and of what jobs are given, each turned off."""

from __future__ import annotations

from mutate import Mutant

WHEELS = "scaler_batch.provision.image.wheels"
TESTS = "test_supply.py::"

MUTANTS = [
    Mutant(
        "a wheel is what its hash says",
        WHEELS,
        "if digest != wheel.digest:",
        "if False:",
        (f"{TESTS}test_a_wheel_of_the_same_version_and_other_content_is_refused",),
    ),
    Mutant(
        "wheels are named by a list, and not by which is newest",
        WHEELS,
        "named = named_in(hashes or place / HASHES)",
        """named = tuple(
            NamedWheel(one.name, hashlib.sha256(one.read_bytes()).hexdigest())
            for one in (max(place.glob(f"{name.replace('-', '_')}-*.whl")) for name in (PAYLOAD, RUNNER))
        )""",
        (f"{TESTS}test_a_newer_wheel_in_the_wheelhouse_does_not_go_into_the_image",),
    ),
    Mutant(
        "no index is asked for our names unless that is wanted",
        WHEELS,
        "    if from_index:",
        "    if from_index or folder is None:",
        (f"{TESTS}test_who_registers_our_names_on_an_index_is_not_asked",),
    ),
    Mutant(
        "a definition names its image by the digest",
        "scaler_batch.provision.naming",
        """(f"@{digest}" if digest else f":{tag}")""",
        """f":{tag}\"""",
        (f"{TESTS}test_a_tag_that_is_swapped_does_not_change_what_jobs_run",),
    ),
    Mutant(
        "tags of the repository are fixed",
        "scaler_batch.provision.resources.repository",
        "tags_are_fixed: bool = True",
        "tags_are_fixed: bool = False",
        (f"{TESTS}test_a_tag_that_is_swapped_does_not_change_what_jobs_run",),
    ),
    Mutant(
        "an execution role reads the key of its own prefix only",
        "scaler_batch.provision.policies",
        """"Action": "ssm:GetParameters", "Resource": payload_key}""",
        """"Action": "ssm:GetParameters", "Resource": "*"}""",
        (f"{TESTS}test_the_payload_key_of_another_prefix_is_out_of_reach",),
    ),
]
