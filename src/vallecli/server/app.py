"""The HTTP interface: OpenAI's audio/speech, voices, health, metrics, and the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from vallecli import __version__
from vallecli.errors import VallecliError
from vallecli.server.answers import SpeechResponse
from vallecli.server.forms import file_in, read_form, text_fields
from vallecli.server.gate import Gate, Limits
from vallecli.server.problems import Problem, invalid, problem_of
from vallecli.server.schemas import (
    NAME,
    TRANSCRIPT,
    Model,
    Models,
    SpeechRequest,
    VoiceEntry,
    Voices,
    decode_base64,
)
from vallecli.server.service import Service
from vallecli.voices.library import StoredVoice

JSON, FORM = "application/json", "multipart/form-data"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src blob:; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
PAGE_FILES = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
CREATED = 1_700_000_000  # of the model in GET /v1/models: clients need a number


def create_app(service: Service, limits: Limits) -> ASGIApp:
    """Return the ASGI application of a service."""
    app = FastAPI(title="valle serve", version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    _add_handlers(app, service)
    _add_speech(app, service)
    _add_voices(app, service)
    _add_operations(app, service)
    _add_page(app)
    wrapped: ASGIApp = app
    if limits.origins:
        wrapped = CORSMiddleware(
            app,
            allow_origins=limits.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["X-Seed", "X-Sample-Rate", "X-Ignored", "X-Request-ID"],
        )
    return Gate(wrapped, limits=limits, log=service.log, metrics=service.metrics)


def _add_handlers(app: FastAPI, service: Service) -> None:
    """Answer errors in the shape of the protocol."""

    def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        request.scope["valle"]["code"] = problem.code
        if problem.status >= 500:
            service.log.error("request", error)
        return problem.response()

    def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = {404: "There is nothing at this path.", 405: "This path has other methods."}
        detail = message.get(error.status_code, str(error.detail))
        problem = Problem(error.status_code, detail, code=f"http_{error.status_code}", headers=error.headers)
        return answer(request, problem)

    def validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, invalid(error.errors()))

    for kind in (Problem, VallecliError):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, validation_error)


# Speech


def _add_speech(app: FastAPI, service: Service) -> None:
    schema = {"schema": SpeechRequest.model_json_schema()}
    body = {"requestBody": {"required": True, "content": {JSON: schema, FORM: schema}}}

    @app.post("/v1/audio/speech", openapi_extra=body, response_class=Response)
    async def speech(http: Request) -> Response:
        """Speak a text; the answer is audio, or server-sent events with stream_format sse."""
        admission = service.admit()
        try:
            request, recording = await _read_speech(http, service)
            service.check(request)
            service.metrics.characters.inc(len(request.input))
            voice = await service.voice(request, recording)
            speaking = await service.speaker.speak(request, voice, http.scope["valle"]["client"])
        except Exception as error:
            admission.release()
            if isinstance(error, HTTPException):
                raise
            raise _logged(http, service, error) from error
        except BaseException:
            admission.release()
            raise
        return SpeechResponse(service, request, speaking, admission)


def _logged(http: Request, service: Service, error: Exception) -> Problem:
    """Return the answer to an error; that of a bug is logged."""
    problem = problem_of(error)
    if problem.status >= 500 and not isinstance(error, Problem):
        service.log.error("request", error)
    return problem


async def _read_speech(http: Request, service: Service) -> tuple[SpeechRequest, bytes | None]:
    """Return the body of a request, and the recording in it. Raises Problem."""
    kind = _content_type(http, (JSON, FORM))
    recording = None
    try:
        if kind == JSON:
            request = SpeechRequest.model_validate_json(await http.body())
        else:
            async with read_form(http) as form:
                recording = await file_in(form, "reference_audio")
                request = SpeechRequest.model_validate(text_fields(form), strict=False)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False, include_context=False)) from error
    if request.reference_audio is not None:
        try:
            recording = decode_base64(request.reference_audio)
        except ValueError as error:
            raise Problem(400, f"reference_audio: {error}", code="invalid_value", param="reference_audio") from error
    if recording is None:
        if request.reference_text is not None:
            raise Problem(
                400, "reference_text is without reference_audio.", code="invalid_value", param="reference_text"
            )
        return request, None
    _check_uploads(service)
    if request.voice is not None:
        raise Problem(400, "voice and reference_audio both give a voice.", code="invalid_value", param="voice")
    return request, recording


def _content_type(http: Request, allowed: tuple[str, ...]) -> str:
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in allowed:
        raise Problem(415, f"The Content-Type should be {' or '.join(allowed)}.", code="unsupported_content_type")
    return kind


def _check_uploads(service: Service) -> None:
    if not service.bounds.uploads:
        raise Problem(
            403,
            "This server accepts no recordings; it would have to be started with uploads allowed.",
            code="uploads_disabled",
        )


# Voices


def _add_voices(app: FastAPI, service: Service) -> None:
    @app.get("/v1/voices")
    @app.get("/v1/audio/voices", include_in_schema=False)
    async def voices() -> Voices:
        """List the voices that requests can name."""
        listed = await service.in_voice_thread(lambda: list(service.voices.listed()))
        return Voices(
            data=[
                VoiceEntry(
                    id=entry.name,
                    name=entry.name,
                    kind=entry.kind,
                    consent=entry.consent,
                    has_transcript=entry.transcript,
                )
                for entry in listed
            ]
        )

    content = {
        FORM: {
            "schema": {
                "type": "object",
                "required": ["name", "file"],
                "properties": {
                    "name": {"type": "string"},
                    "file": {"type": "string", "format": "binary"},
                    **{name: {"type": "string"} for name in ("transcript", "notes", "declaration")},
                },
            }
        }
    }

    @app.post("/v1/voices", status_code=201, openapi_extra={"requestBody": {"required": True, "content": content}})
    async def add(http: Request) -> VoiceEntry:
        """Add a voice to the library from a recording."""
        _check_uploads(service)
        admission = service.admit()
        try:
            _content_type(http, (FORM,))
            async with read_form(http) as form:
                recording = await file_in(form, "file")
                fields = text_fields(form)
            stored, notes = await _add_voice(service, fields, recording)
        finally:
            admission.release()
        kind = None if stored.consent is None else stored.consent.kind
        return VoiceEntry(
            id=stored.name,
            name=stored.name,
            kind="library",
            consent=kind,
            has_transcript=stored.transcript is not None,
            notes=notes,
        )


async def _add_voice(
    service: Service, fields: dict[str, Any], recording: bytes | None
) -> tuple[StoredVoice, list[str]]:
    known = ("name", "transcript", "notes", "declaration")
    for name, value in fields.items():
        if name not in known or len(value) > TRANSCRIPT:
            raise Problem(400, f"{name[:NAME]}: no such field, or too long.", code="invalid_value", param=name[:NAME])
    if recording is None or not fields.get("name"):
        raise Problem(400, "The fields name and file are required.", code="invalid_value", param="file")
    work = partial(
        service.voices.add,
        fields["name"],
        recording,
        transcript=fields.get("transcript"),
        notes=fields.get("notes", ""),
        declaration=fields.get("declaration"),
    )
    return await service.in_voice_thread(work)


# Operations


def _add_operations(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models")
    async def models() -> Models:
        """List the model of this server."""
        return Models(data=[Model(id=service.speaker.name, created=CREATED)])

    @app.get("/health")
    async def health() -> Response:
        """Return 200 while the engine runs."""
        return _state(service.alive, "ok", "failed")

    @app.get("/ready")
    async def ready() -> Response:
        """Return 200 while further requests are accepted."""
        busy = "shutting down" if service.draining else "busy" if service.alive else "failed"
        return _state(service.ready, "ready", busy)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return Prometheus metrics."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _state(good: bool, yes: str, no: str) -> Response:
    return JSONResponse({"status": yes if good else no}, 200 if good else 503)


# The page


def _add_page(app: FastAPI) -> None:
    source = resources.files("vallecli.server") / "page"
    for path, (name, media_type) in PAGE_FILES.items():
        content = (source / name).read_bytes()
        app.add_api_route(path, _static(content, media_type), methods=["GET", "HEAD"], include_in_schema=False)


def _static(content: bytes, media_type: str) -> Callable[[], Any]:
    async def serve() -> Response:
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
        return Response(content, media_type=media_type, headers=headers)

    return serve
