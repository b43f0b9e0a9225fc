"""The arithmetic of the benchmark: medians, prices, growth and goals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from authentication_costs import AuthenticationCost
from bench.goals import ALONE, AUTO, OURS, THEIRS, goals
from bench.measuring import Sample
from bench.meters import Reading, by_role
from bench.prices import dollars
from bench.results import Results, machine, read
from bench.summary import growth, summaries, summary
from payload_costs import PayloadCost
from startup_costs import StartupCost


def sample(side: str, seconds: float | None = 1.0, tasks: int = 1000, cpu: float = 1.0, calls: int = 100) -> Sample:
    made = {"adapter": {"s3.GetObject": calls, "batch.SubmitJob": 10}, "jobs": {"s3.PutObject": calls}}
    return Sample(side, f"map of {tasks:,}", tasks, seconds, {"adapter": cpu, "jobs": 2.0}, made, 50)


def test_medians_and_spread_are_of_the_runs_that_came_to_their_end() -> None:
    found = summary([sample("ours", 3.0), sample("ours", 1.0), sample("ours", 2.0), sample("ours", None)])

    assert found.seconds == (1.0, 2.0, 3.0)
    assert found.runs == 3
    assert found.total_calls == 210
    assert found.callers == {"adapter": 110, "jobs": 100}


def test_a_side_that_never_ends_says_why() -> None:
    found = summary([replace(sample("ours", None), trouble="no answer")])

    assert (found.runs, found.trouble) == (0, "no answer")


def test_a_side_that_never_ends_is_in_no_goal() -> None:
    assert goals(summaries([sample(THEIRS, None), sample(OURS, None)])) == []


def test_goals_compare_both_sides_of_one_run() -> None:
    found = goals(
        summaries([sample(THEIRS, 10.0, cpu=50.0), sample(OURS, 1.0), sample(AUTO, 0.9, calls=70), sample(ALONE, 0.5)])
    )
    judged = {goal.what: (round(goal.found, 3), goal.met) for goal in found}

    assert judged["map of 1,000, one task a job, faster than upstream"] == (10.0, True)
    assert judged["map of 1,000, bundled, faster than upstream"] == (11.111, False)
    assert judged["map of 1,000, bundled, beside Scaler alone"] == (1.8, False)
    assert judged["map of 1,000, bundled, calls"] == (150.0, False)
    assert judged["map of 1,000, processor time of the adapter, of upstream's"] == (2.0, True)


def test_growth_is_the_slope_between_maps_of_one_side() -> None:
    found = growth(summaries([sample("ours", 1.5, 100), sample("ours", 10.5, 1000), sample("theirs", 1.0, 100)]))

    assert [each.side for each in found] == ["ours"]
    assert found[0].seconds == pytest.approx(0.01)
    assert found[0].start == pytest.approx(0.5)


def test_one_object_in_and_one_out_costs_what_the_price_list_says() -> None:
    calls = {"s3.PutObject": 2e6, "s3.GetObject": 2e6, "s3.DeleteObject": 2e6, "batch.SubmitJob": 1e6}

    assert dollars(calls) == pytest.approx(10.8)


def test_callers_are_added_up_by_role() -> None:
    calls = by_role({"user/boto3": {"a": 1}, "user/object_store": {"a": 2}, "job/boto3": {"a": 4}})

    assert calls == {"adapter": {"a": 3}, "jobs": {"a": 4}}


def test_a_reading_is_what_was_used_since_the_one_before() -> None:
    before, after = Reading({"a": 1.0}, {"jobs": {"x": 1}}), Reading({"a": 3.0, "b": 1.0}, {"jobs": {"x": 4, "y": 1}})

    assert after.since(before) == Reading({"a": 2.0, "b": 1.0}, {"jobs": {"x": 3, "y": 1}})


def test_what_checks_add_is_judged_as_a_part_or_by_itself() -> None:
    cost = AuthenticationCost("a map", [101.0, 103.0, 109.0], [100.0, 100.0, 100.0], 0.02, is_part=True)
    assert (cost.added, cost.part, cost.is_good) == (1.0, 0.01, True)
    assert not replace(cost, most_added=0.5, is_part=False).is_good


def test_results_come_out_of_a_file_as_they_went_in(tmp_path: Path) -> None:
    payload, startup = PayloadCost("1 kB", 1000, 1.0, 2.0, 3, 4), StartupCost("imported", [1.0], [2.0])
    checks = AuthenticationCost("a map", [2.0, 2.5], [1.0, 2.0], 0.02, is_part=True)
    results = Results(machine(), [sample("ours")], [], [], [startup], [payload], [], [], [], [checks])
    results.write(tmp_path / "results.json")

    assert read(tmp_path / "results.json") == results
