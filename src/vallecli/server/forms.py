"""Bodies of multipart/form-data: text fields and at most one file, whole or refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from vallecli.server.problems import Problem

MAX_FIELDS = 40
MAX_FIELD_BYTES = 2**20
EPILOGUE = 1024  # bytes that may follow the last part
SHOWN = 64  # characters of a name in messages


@asynccontextmanager
async def read_form(http: Request) -> AsyncIterator[FormData]:
    """Yield the fields of a form. Raises Problem for one that is damaged, incomplete or has too many fields."""
    boundary = parse_options_header(http.headers.get("content-type", ""))[1].get(b"boundary", b"")
    end, tail = b"--" + boundary + b"--", b""

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal tail
        async for chunk in http.stream():
            tail = (tail + chunk)[-len(end) - EPILOGUE :]
            yield chunk

    parser = MultiPartParser(
        http.headers,
        chunks(),  # type: ignore[arg-type]  # an async iterator suffices
        max_files=1,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, f"The form is damaged: {error.message}", code="invalid_form") from error
    try:
        if end not in tail:  # the parser accepts what was cut off
            raise Problem(400, "The form is incomplete.", code="invalid_form")
        yield form
    finally:
        await form.close()


def text_fields(form: FormData) -> dict[str, Any]:
    """Return the text fields of a form. Raises Problem for one that is given twice."""
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            if name in fields:
                shown = name[:SHOWN]
                raise Problem(400, f"{shown} is given twice.", code="invalid_value", param=shown)
            fields[name] = value
    return fields


async def file_in(form: FormData, name: str) -> bytes | None:
    """Return the content of the file in a form. Raises Problem for one in another field."""
    for field, value in form.multi_items():
        if isinstance(value, UploadFile):
            if field != name:
                raise Problem(400, f"The file should be in the field {name}.", code="invalid_value", param=name)
            return await value.read()
    return None
