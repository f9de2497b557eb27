"""When a service wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from vecstore.embedders.service_answers import read_retry_after


@pytest.mark.parametrize(
    "value, seconds",
    [(None, None), ("5", 5), ("0.5", 0.5), ("-3", 0), ("99999999", 3600), ("nan", None), ("inf", None), ("soon", None)],
)
def test_the_time_to_wait_is_read(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value) == seconds


def test_the_time_to_wait_may_be_a_date() -> None:
    seconds = read_retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert seconds is not None
    assert 50 < seconds <= 60
