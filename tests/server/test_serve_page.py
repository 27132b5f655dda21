"""The page in Chromium: typing, hearing, downloading, keys, a phone, accessibility, and no outside resources."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from serving import Server, Start

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = [pytest.mark.loopback, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
WAIT = 120_000  # milliseconds


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--mute-audio", "--no-sandbox"])
        yield browser
        browser.close()


Open = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open the page of a server; at the end, check that there were no errors and no requests to others."""
    problems: list[str] = []
    contexts = []

    def open_page(server: Server, *, viewport: dict[str, int] = DESKTOP, errors: bool = False, **options: Any) -> Page:
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        if not errors:  # Chromium reports answers with an error
            page.on("console", lambda message: problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        allowed = (server.url, "blob:", "data:")
        page.on("request", lambda request: None if request.url.startswith(allowed) else problems.append(request.url))
        page.goto(server.url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def speak(page: Page, text: str, seed: str = "3") -> None:
    page.get_by_label("Text").fill(text)
    page.get_by_label("Seed").fill(seed)
    page.get_by_label("Text").focus()
    page.keyboard.press("Control+Enter")


def test_speech_is_heard_and_downloaded(open_page: Open, server: Server, tmp_path: Path) -> None:
    page = open_page(server)
    page.locator("#voice option").first.wait_for(state="attached")
    speak(page, "Red.")
    page.get_by_role("status").filter(has_text="Done").wait_for()
    assert page.locator("#facts dd").all_inner_texts()[2] == "3"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download WAV").click()
    path = tmp_path / "speech.wav"
    download.value.save_as(path)
    expected = server.speak(input="Red.", response_format="pcm", max_seconds=None, voice="default").content
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 24_000)
        assert file.readframes(file.getnframes()) == expected
    assert page.evaluate("document.getElementById('player').duration") == pytest.approx(len(expected) / 48_000, abs=0.1)


def test_escape_stops(open_page: Open, server: Server) -> None:
    page = open_page(server)
    page.locator("#voice option").first.wait_for(state="attached")
    speak(page, "Red is one. " * 40)
    page.locator("#stop:enabled").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("status").filter(has_text="Stopped").wait_for()
    with server.client() as client:
        while "valle_requests_accepted 0.0" not in client.get("/metrics").text:
            pass


def test_the_curl_line_is_that_of_the_form(open_page: Open, server: Server) -> None:
    page = open_page(server)
    page.locator("#voice option").first.wait_for(state="attached")
    page.get_by_label("Text").fill("It's <b>.")
    page.get_by_label("Speed").select_option("1.5")
    line = page.locator("#curl").inner_text()
    assert f"curl {server.url}/v1/audio/speech" in line
    assert r"""'{"input":"It'\''s <b>.","response_format":"mp3","voice":"default","speed":1.5}'""" in line
    page.get_by_role("button", name="Copy the command").click()
    page.get_by_role("status").filter(has_text="The command is").wait_for()


def test_errors_are_shown(open_page: Open, server: Server) -> None:
    page = open_page(server, errors=True)
    page.locator("#voice option").first.wait_for(state="attached")
    speak(page, "...")
    page.get_by_role("alert").filter(has_text="no words").wait_for()


def test_a_key_can_be_given(open_page: Open, start: Start) -> None:
    server = start(key="a-key-of-twenty-four-chars")
    page = open_page(server, errors=True)
    page.get_by_label("API key").fill("a-key-of-twenty-four-chars")
    page.get_by_role("button", name="Use this key").click()
    page.locator("#voice option").first.wait_for(state="attached")
    assert "$VALLE_API_KEY" in page.locator("#curl").inner_text()
    speak(page, "Red.")
    page.get_by_role("status").filter(has_text="Done").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_and_it_is_accessible(open_page: Open, server: Server, scheme: str) -> None:
    page = open_page(server, viewport=PHONE, color_scheme=scheme)
    page.locator("#voice option").first.wait_for(state="attached")
    speak(page, "Red. " + "Donaudampfschifffahrt" * 4)
    page.get_by_role("status").filter(has_text="Done").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    controls = "[...document.querySelectorAll('button, select, input, .button')]"
    assert page.evaluate(f"{controls}.filter(e => e.offsetParent && e.offsetHeight < 44).length") == 0
    violations = axe.Axe().run(page).response["violations"]
    assert [entry["id"] for entry in violations] == []


def test_the_policy_allows_nothing_from_outside(server: Server) -> None:
    with server.client() as client:
        found = client.get("/")
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert "unsafe" not in found.headers["content-security-policy"]
        assert "//" not in found.text.replace("<!DOCTYPE", "")
