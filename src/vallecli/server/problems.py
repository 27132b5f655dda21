"""Errors as the protocol has them: a status, and {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from vallecli import errors
from vallecli.errors import explain
from vallecli.printable import mask_credentials
from vallecli.server.scheduler import Closed
from vallecli.server.schemas import ErrorAnswer, ErrorBody

INVALID, SERVER = "invalid_request_error", "server_error"
SHOWN = 5  # errors of a body in one message
STATUSES: tuple[tuple[type[Exception], int], ...] = (  # the first that fits
    (errors.ConsentMissing, 403),
    (errors.UnknownVoice, 404),
    (errors.VoiceExists, 409),
    (errors.DamagedVoice, 500),
    (errors.OutputError, 507),
    (errors.InputError, 400),
    (errors.UsageError, 400),
    (errors.DependencyMissing, 501),
    (errors.DeviceError, 503),
    (Closed, 503),
)


class Problem(Exception):
    """An answer with an error, before any audio was sent."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        self.status, self.code, self.headers = status, code, dict(headers or {})
        self.body = ErrorBody(
            message=message, type=kind.get(status, SERVER if status >= 500 else INVALID), param=param, code=code
        )

    def response(self) -> JSONResponse:
        """Return the HTTP response."""
        return JSONResponse(ErrorAnswer(error=self.body).model_dump(), self.status, headers=self.headers)


def problem_of(error: Exception) -> Problem:
    """Return the answer to any error; what is no known error of a request has no details."""
    if isinstance(error, Problem):
        return error
    known = explain(error)
    if known is None:
        return Problem(500, "The server has failed; its log has the error of this request.", code="internal_error")
    status = next((status for kind, status in STATUSES if isinstance(known, kind)), 500)
    message = known.message if not known.hint else f"{known.message.rstrip('.')}. {known.hint}"
    headers = {"Retry-After": "5"} if status == 503 else None
    return Problem(status, mask_credentials(message), code=code_of(known), headers=headers)


def code_of(error: Exception) -> str:
    """Return the name of an error's class in lower case, as in unknown_voice."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()


def invalid(found: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the answer to a body that does not fit its schema, given pydantic's errors."""
    if any(entry["type"] == "json_invalid" for entry in found):
        return Problem(400, f"The body is not JSON: {found[0]['msg']}", code="invalid_json")
    messages = []
    for entry in found[:SHOWN]:
        message = str(entry["msg"]).removeprefix("Value error, ").rstrip(".")
        messages.append(f"{_place(entry)}: {message}" if entry["loc"] else message)
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Problem(400, "; ".join(messages) + more, code="invalid_value", param=_place(found[0]) or None)


def _place(entry: Mapping[str, Any]) -> str:
    return str(entry["loc"][0]) if entry["loc"] else ""
