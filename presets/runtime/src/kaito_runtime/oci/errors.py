"""What a registry may answer that its caller decides about."""

from __future__ import annotations

import requests


class Denied(Exception):  # noqa: N818 - an answer, not a defect
    """The registry knows who asks, or wants to know, and says no (401, 403)."""


class Unavailable(Exception):  # noqa: N818
    """No answer, or one that says "later" (5xx, 429), for as long as was waited."""


class NotFound(Exception):  # noqa: N818
    """The registry has no such repository, tag or blob (404)."""


class Refused(Exception):  # noqa: N818
    """The registry doesn't take what it was sent, and would not take it the next time either (other 4xx)."""


class Interrupted(Exception):  # noqa: N818 - the caller goes on
    """A request that may succeed when it is tried again."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def describe(response: requests.Response) -> str:
    """Status and, where the registry says one, the reason."""
    status = f"{response.status_code} {response.reason or ''}".strip()
    try:
        errors = response.json()["errors"]
        said = "; ".join(str(error.get("message") or error.get("code")) for error in errors)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, requests.RequestException):
        return status
    return f"{status}: {said[:300]}" if said else status


def reason_of(error: BaseException) -> str:
    """The innermost reason of a failed request, such as "Connection refused"."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or (reason.args[0] if reason.args else None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return f"the connection failed: {str(reason).rpartition(': ')[2] or type(reason).__name__}"
