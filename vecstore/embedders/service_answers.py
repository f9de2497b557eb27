"""What services answer: failures with what is needed to repeat them, and vectors as lists or as base64."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..errors import VecstoreError

_LONGEST_WAIT = 3600.0


class ServiceFailed(VecstoreError):
    """A service refused a request, is overloaded, cannot be reached, or answered in a form that nobody can use.

    Parameters
    ----------
    message : str
    status : int, optional
        The HTTP status of the answer.
    retryable : bool
        Whether the same request may succeed later.
    retry_after : float, optional
        Seconds after which the service wants to be asked again, an hour at most.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after


def explain_status(name: str, status: int, key_variable: str | None, retry_after: float | None) -> ServiceFailed:
    """Return the error for an HTTP status. What the service wrote is left out: it may repeat keys and texts."""
    key = (
        "a key, and key_variable=None sends none"
        if key_variable is None
        else f"another key than that in {key_variable}"
    )
    reasons = {
        400: "found the request invalid: a text may be too long, or an option unknown to the model",
        401: f"wants {key}",
        403: f"wants {key}, or the key may not use the model",
        404: "knows no such model, or the URL is wrong",
        413: "found the request too large: lower batch_size or batch_tokens",
        422: "found the request invalid: a text may be too long, or an option unknown to the model",
        429: "has a limit that is reached: too many requests or tokens, or no credit",
    }
    if 300 <= status < 400:
        reason = "sends requests elsewhere: give the URL where it is"
    else:
        reason = reasons.get(status, "failed" if status >= 500 else "refused the request")
    retryable = status in (408, 425, 429) or status >= 500
    wait = retry_after if retryable else None
    return ServiceFailed(f"{name!r} {reason} (HTTP {status}).", status=status, retryable=retryable, retry_after=wait)


def read_retry_after(value: str | None) -> float | None:
    """Return the seconds in a Retry-After header, a number or a date; None if there is nothing to be read."""
    from email.utils import parsedate_to_datetime

    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else None


def order_by_index(data: Sequence[Mapping[str, Any]], count: int) -> list[Any]:
    """Return vectors in the order of their ``index``, which services may change.

    Raises
    ------
    ValueError
        An index is missing, out of range, or there twice.
    """
    vectors: list[Any] = [None] * count
    for item in data:
        index = item["index"]
        if type(index) is not int or not 0 <= index < count or vectors[index] is not None:
            raise ValueError("index")
        vectors[index] = read_vector(item["embedding"])
    if any(vector is None for vector in vectors):
        raise ValueError("index")
    return vectors


def read_vector(vector: Any) -> Any:
    """Return a vector that is a list of numbers, or little-endian float32 in base64.

    Raises
    ------
    ValueError
    """
    if isinstance(vector, str):
        try:
            return np.frombuffer(base64.b64decode(vector, validate=True), "<f4")
        except binascii.Error as error:
            raise ValueError("base64") from error
    # A number as text is none: numpy would take "1".
    if not isinstance(vector, list) or not all(type(number) in (int, float) for number in vector):
        raise ValueError("numbers")
    return vector
