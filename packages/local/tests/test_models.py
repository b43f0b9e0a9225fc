"""Sessions of boto3 that share what they have read."""

from __future__ import annotations

import botocore.session
import pytest

from scaler_batch.local.services import models


def test_sessions_of_a_server_read_the_models_of_aws_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.session, "create_loader", botocore.session.create_loader)  # put back afterwards
    models.share()
    first, second = (botocore.session.Session().get_component("data_loader") for _ in range(2))
    assert first is second
