from __future__ import annotations

from typing import Any

import pytest

from scaler_batch.adapter.preflight import vcpus_of


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"resourceRequirements": [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "99"}]}, 4),
        ({"resourceRequirements": [{"type": "VCPU", "value": "0.25"}]}, 1),
        ({"resourceRequirements": [{"type": "VCPU", "value": "2.5"}], "vcpus": 7}, 2),
        ({"vcpus": 8}, 8),
        ({}, 1),
    ],
)
def test_the_vcpus_of_a_definition_are_read_where_they_stand(container: Any, expected: int) -> None:
    definition: Any = {"containerProperties": container}
    assert vcpus_of(definition) == expected


def test_a_definition_without_a_container_has_one() -> None:
    definition: Any = {"eksProperties": {}}
    assert vcpus_of(definition) == 1
