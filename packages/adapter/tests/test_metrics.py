from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scaler_batch.adapter import status
from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.metrics import serving
from scaler_batch.adapter.settings import MetricsSettings, WorkerSettings
from scaler_batch.tasks import Snapshot, Stage, TaskManagerSettings

SETTINGS = WorkerSettings("tcp://h:1", "bucket", TaskManagerSettings("queue", "definition"))


class Worker:
    """Has tasks, and has done some."""

    run_id, worker_id = "run-1", "Worker|aws-batch|1"

    async def work(self, stop: asyncio.Event) -> None: ...

    def snapshot(self) -> Snapshot:
        stages = dict.fromkeys(Stage, 0) | {Stage.QUEUED: 3, Stage.RUNNING: 2}
        return Snapshot(
            stages,
            61.0,
            jobs=2,
            answers={"success": 7},
            refused={"unsigned": 2},
            calls={"SubmitJob": 4},
            sent=2048,
            received=5 * 1024**3,
            waiting={"CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY": 2},
            credentials_refused=75.0,
        )


@asynccontextmanager
async def served(caplog: pytest.LogCaptureFixture, *workers: Worker) -> AsyncIterator[int]:
    with caplog.at_level(logging.INFO), serving(workers, SETTINGS, MetricsSettings(0)):
        found = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", caplog.text)
        assert found is not None
        yield int(found[1])


async def get(port: int, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(ask)


async def test_prometheus_gets_every_figure(caplog: pytest.LogCaptureFixture) -> None:
    async with served(caplog, Worker()) as port:
        code, text = await get(port, "/metrics")
    assert code == 200
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples[("scaler_batch_workers",)] == 1
    assert samples[("scaler_batch_tasks", "queued", "run-1")] == 3
    assert samples[("scaler_batch_tasks", "collecting", "run-1")] == 0
    assert samples[("scaler_batch_jobs", "run-1")] == 2
    assert samples[("scaler_batch_oldest_task_seconds", "run-1")] == 61
    assert samples[("scaler_batch_answers_total", "run-1", "success")] == 7
    assert samples[("scaler_batch_refused_outcomes_total", "run-1", "unsigned")] == 2
    assert samples[("scaler_batch_requests_total", "SubmitJob", "run-1")] == 4
    assert samples[("scaler_batch_sent_bytes_total", "run-1")] == 2048
    assert samples[("scaler_batch_waiting_jobs", "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "run-1")] == 2
    assert samples[("scaler_batch_credentials_refused_seconds", "run-1")] == 75


async def test_the_status_is_json(caplog: pytest.LogCaptureFixture) -> None:
    async with served(caplog, Worker(), Worker()) as port:
        code, text = await get(port, "/status")
    assert code == 200
    said = json.loads(text)
    assert [worker["stages"]["running"] for worker in said["workers"]] == [2, 2]
    assert said["queue"] == "queue"


async def test_there_is_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async with served(caplog) as port:
        assert (await get(port, "/"))[0] == 404


async def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(SettingsError, match=f"cannot serve metrics at 127.0.0.1:{port}"),
            serving([], SETTINGS, MetricsSettings(port)),
        ):
            pass


async def test_the_command_shows_a_worker(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(caplog, Worker()) as port:
        code = await asyncio.to_thread(status.main, ["--metrics-port", str(port), "--once"])
    assert code == 0
    shown = capsys.readouterr().out
    for words in (
        "run run-1",
        "queued 3",
        "0:01:01",
        "success 7",
        "SubmitJob 4",
        "2.0 KiB sent, 5.0 GiB received",
        "refused by AWS",
    ):
        assert words in shown


async def test_the_command_says_json(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(caplog, Worker()) as port:
        assert await asyncio.to_thread(status.main, ["--metrics-port", str(port), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["workers"][0]["jobs"] == 2


def test_the_command_says_when_nobody_answers(unused_tcp_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["--metrics-port", str(unused_tcp_port)]) == 1
    assert f"no worker answers at http://127.0.0.1:{unused_tcp_port}/status" in capsys.readouterr().err
