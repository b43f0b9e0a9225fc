"""The checks of the provisioner, each turned off."""

from __future__ import annotations

from mutate import Mutant

STATE = "scaler_batch.provision.state"
ATOMIC = "scaler_batch.provision.atomic"
TESTS = "test_provisioner.py::"

MUTANTS = [
    Mutant(
        "the nonce makes a resource ours, and not the prefix alone",
        "scaler_batch.provision.vocabulary",
        "return self.tags.items() <= tags.items()",
        "return tags.get(PREFIX_TAG) == self.prefix",
        (
            f"{TESTS}test_a_copied_tag_does_not_make_a_strangers_resource_ours",
            f"{TESTS}test_a_resource_that_was_planted_before_the_first_run_is_not_taken_over",
        ),
    ),
    Mutant(
        "what has no tags is not removed",
        "scaler_batch.provision.plan",
        "remove=tuple((kind, one) for kind, one in present if owner.owns(one.tags)),",
        "remove=tuple((kind, one) for kind, one in present if owner.owns(one.tags) or not one.tags),",
        (f"{TESTS}test_a_crafted_record_does_not_remove_a_strangers_untagged_bucket",),
    ),
    Mutant(
        "names and ARNs of a record follow from its prefix",
        STATE,
        "if identity.name != names.of(kind) or not names.may_be(kind, identity.arn):",
        "if False:",
        (f"{TESTS}test_a_record_that_names_what_does_not_follow_from_its_prefix_is_refused",),
    ),
    Mutant(
        "a record is read from no symbolic link",
        ATOMIC,
        "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC",
        "os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC",
        (f"{TESTS}test_a_record_behind_a_symbolic_link_is_refused_and_what_it_points_to_stays",),
    ),
    Mutant(
        "nobody can guess what is written beside the record",
        ATOMIC,
        """beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")""",
        """beside = path.with_name(f"{path.name}.{os.getpid()}.new")""",
        (f"{TESTS}test_a_link_beside_the_record_is_not_written_through",),
    ),
    Mutant(
        "of several security groups, ours is taken",
        "scaler_batch.provision.resources.security_group",
        "key=lambda one: (self._is_ours(one),",
        "key=lambda one: (not self._is_ours(one),",
        (f"{TESTS}test_a_strangers_security_group_of_the_same_name_is_not_given_to_instances",),
    ),
    Mutant(
        "what bears the prefix alone stops a run",
        "scaler_batch.provision.plan",
        "foreign = [(kind, one) for kind, one in observed.items() if one and not owner.owns(one.tags)]",
        "foreign = [(kind, one) for kind, one in observed.items() if one and not one.bears(owner.prefix)]",
        (f"{TESTS}test_a_strangers_revision_of_the_definition_is_neither_used_nor_removed",),
    ),
    Mutant(
        "adopt takes nothing over unasked",
        "scaler_batch.provision.cli",
        "if not (options.yes or report.asks):",
        "if False:",
        (f"{TESTS}test_nothing_is_taken_over_without_somebodys_word",),
    ),
]
