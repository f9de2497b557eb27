"""When a service wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from vecstore.embedders.service_answers import explain_status, read_retry_after


@pytest.mark.parametrize(
    "value, seconds",
    [
        (None, None),
        ("5", 5),
        ("0.5", 0.5),
        ("-3", 0),
        ("99999999", 3600),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None),
    ],
)
def test_the_time_to_wait_is_read(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value) == seconds


def test_the_time_to_wait_may_be_a_date() -> None:
    seconds = read_retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert seconds is not None
    assert 50 < seconds <= 60


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 408, 413, 418, 422, 425, 429, 500, 503])
def test_a_status_that_may_pass_can_be_repeated(status: int) -> None:
    failed = explain_status("openai:words", status, "OPENAI_API_KEY", 7)
    assert failed.retryable is (status in (408, 425, 429, 500, 503))
    assert failed.retry_after == (7 if failed.retryable else None)
    assert f"HTTP {status}" in str(failed)
