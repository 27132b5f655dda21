"""The listening page in Chromium, opened from the disk: keys, sorting, votes, a phone's width, accessibility."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pages import HOSTILE, evaluated, failed, row, write_tone

from vallecli.quality.report import write_page
from vallecli.quality.rows import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--mute-audio"])
        yield browser
        browser.close()


Open = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open a page from the disk; at the end, check that there were no errors and no requests but for local files."""
    problems: list[str] = []
    contexts = []

    def allowed(url: str) -> bool:
        return url.startswith(("file:", "blob:", "data:"))

    def open_page(path: Path, *, viewport: dict[str, int] = DESKTOP, script: str = "", **options: Any) -> Page:
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("request", lambda request: None if allowed(request.url) else problems.append(f"request: {request.url}"))
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        if script:
            page.add_init_script(script)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def single(own_folder: Path) -> Path:
    """Return the page of one run with four rows."""
    write_page(own_folder / "index.html", [evaluated(own_folder / "out")])
    return own_folder / "index.html"


@pytest.fixture
def pair(own_folder: Path) -> Path:
    """Return the page of two runs."""
    runs = [evaluated(own_folder / "old"), evaluated(own_folder / "new", shift=0.1)]
    write_page(own_folder / "index.html", runs)
    return own_folder / "index.html"


def names(page: Page) -> list[str]:
    return page.locator("#rows h2").all_inner_texts()


def current(page: Page) -> str:
    return page.locator("[aria-current=true] h2").inner_text()


def status(page: Page) -> str:
    return page.locator("#status").inner_text()


def wait_for_sound(page: Page, title: str, number: int = 0) -> None:
    """Wait until a recording with a title plays, and its time advances."""
    clip = page.locator(".clip:visible", has=page.locator(".clip-title", has_text=title)).nth(number)
    clip.locator(".wave.started").wait_for()


def test_keys_move_and_play(open_page: Open, single: Path) -> None:
    page = open_page(single)
    page.keyboard.press("j")
    assert current(page) == "right"
    assert page.evaluate("document.activeElement.querySelector('h2').innerText") == "right"
    page.keyboard.press("Space")
    wait_for_sound(page, "Result")
    assert status(page) == "Playing result of right"
    page.keyboard.press("p")
    wait_for_sound(page, "Prompt")
    assert status(page) == "Playing prompt of right"
    page.locator(".play:not(.playing)").nth(0).wait_for()  # it ends by itself
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert current(page) == "plain"
    page.keyboard.press("k")
    assert current(page) == "wrong"
    assert status(page) == "Row 2 of 4: wrong"


def test_rows_with_a_reference_or_of_one_run(open_page: Open, own_folder: Path) -> None:
    old, new = own_folder / "old", own_folder / "new"
    rows = [row(new, "a"), row(new, "b", reference="prompt.wav")]
    write_page(own_folder / "index.html", [Run("old", old, [row(old, "a")]), Run("new", new, rows)])
    page = open_page(own_folder / "index.html")
    page.get_by_role("button", name="Only in one run 1").click()
    page.keyboard.press("j")
    page.keyboard.press("a")
    assert status(page) == "b has no result to play"
    assert "A · old: no such row" in page.locator(".row").inner_text()
    for key, title in (("b", "B · new"), ("r", "Reference")):
        page.keyboard.press(key)
        wait_for_sound(page, title)


def test_space_pauses_and_arrows_seek(open_page: Open, own_folder: Path) -> None:
    write_tone(own_folder / "long.wav", seconds=30)
    write_page(own_folder / "index.html", [Run("run", own_folder, [{"id": "a", "output": "long.wav"}])])
    page = open_page(own_folder / "index.html")
    page.keyboard.press("Space")
    wait_for_sound(page, "Result")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.locator(".play:not(.playing)").wait_for()
    reached = float(page.locator(".time").inner_text().split(" /")[0])
    assert 9 <= reached < 30
    page.locator(".wave").click(position={"x": 2, "y": 10})
    page.locator(".play.playing").wait_for()
    assert float(page.locator(".time").inner_text().split(" /")[0]) < 9


def test_space_on_a_button_presses_it_once(open_page: Open, single: Path) -> None:
    page = open_page(single)
    page.locator(".result .play").nth(1).focus()
    page.keyboard.press("Space")
    page.locator(".result .play.playing").wait_for()
    assert current(page) == "wrong"
    assert status(page) == "Playing result of wrong"


def test_keys_can_be_switched_off(open_page: Open, single: Path) -> None:
    page = open_page(single)
    page.keyboard.press("?")
    help_text = page.locator("#help").inner_text()
    assert all(words in help_text for words in ("Next row", "Previous row", "Play or pause the prompt", "space"))
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.locator("[aria-current]").count() == 0
    page.reload()
    page.keyboard.press("j")
    assert page.locator("[aria-current]").count() == 0


def test_sorting_by_each_score(open_page: Open, single: Path) -> None:
    page = open_page(single)
    orders = {
        "WER": ["wrong", "plain", "right", "broken"],  # the worst first; without a score last
        "Similarity": ["wrong", "right", "plain", "broken"],
        "Name": ["broken", "plain", "right", "wrong"],
        "Table order": ["right", "wrong", "plain", "broken"],
    }
    for label, order in orders.items():
        page.get_by_label("Sort by").select_option(label=label)
        assert names(page) == order
    page.get_by_label("Sort by").select_option(label="WER")
    page.locator("#direction").click()
    assert names(page) == ["right", "plain", "wrong", "broken"]
    known = {"Table order", "Name", "WER", "Similarity", "Duration", "Pitch median"}
    known |= {"DNSMOS overall", "DNSMOS speech", "DNSMOS background"}
    assert set(page.locator("#sort option").all_inner_texts()) == known


def test_filters_and_search(open_page: Open, single: Path) -> None:
    page = open_page(single)
    for label, left in {"Failed 1": ["broken"], "Words wrong 2": ["wrong", "plain"], "With notes 1": ["wrong"]}.items():
        page.get_by_role("button", name=label).click()
        assert names(page) == left
        assert status(page) == f"{len(left)} of 4 rows"
    page.get_by_role("button", name="All 4").click()
    page.get_by_label("Search").fill("ANN")
    assert names(page) == ["right"]
    page.get_by_label("Search").fill("nothing like this")
    assert page.locator("#empty").is_visible()


def test_a_failed_row_shows_its_reason(open_page: Open, single: Path) -> None:
    page = open_page(single)
    card = page.locator(".row.is-failed")
    assert "Failed: it is silent\nRecord it again." in card.inner_text().replace("\n\n", "\n")
    assert "Cannot be played: no such file" in card.inner_text()
    for _ in range(4):
        page.keyboard.press("j")
    assert status(page) == "Row 4 of 4: broken, failed"
    page.keyboard.press("Space")
    assert status(page) == "broken has no result to play"


def test_differences_are_marked_without_colour(open_page: Open, single: Path) -> None:
    page = open_page(single)
    assert page.locator(".row", has_text="wrong").locator(".heard").inner_text().split() == [
        *("Heard", "red", "instead", "of", "green", "heard:", "grown", "blue", "extra:", "pink")
    ]
    line = "element => getComputedStyle(element).textDecorationLine"
    assert page.locator("#rows .substituted del").first.evaluate(line) == "line-through"
    assert page.locator("#rows .substituted ins").first.evaluate(line) == "underline"
    assert page.locator("#rows del.deleted").first.evaluate(line) == "line-through"
    assert page.locator("#rows ins.inserted").first.evaluate(line) == "underline"
    assert "as written" in page.locator(".heard").first.inner_text()


def test_hostile_text_is_shown_as_it_is(open_page: Open, own_folder: Path) -> None:
    rows = [
        row(own_folder, "a", HOSTILE, heard=HOSTILE, speaker=HOSTILE, notes=[HOSTILE], manner={HOSTILE: 1}),
        {**failed(HOSTILE, HOSTILE), "text": HOSTILE},
    ]
    write_page(own_folder / "index.html", [Run(HOSTILE, own_folder, rows), Run(HOSTILE, own_folder, rows)])
    page = open_page(own_folder / "index.html", viewport=PHONE)
    assert page.locator(".text").first.evaluate("element => element.textContent") == HOSTILE
    page.keyboard.press("j")
    page.keyboard.press("Space")
    wait_for_sound(page, "A ·")
    assert page.evaluate("window.broken") is None
    assert page.locator("img, #rows script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_many_rows_are_added_in_steps(open_page: Open, own_folder: Path) -> None:
    rows = [row(own_folder, "a") | {"id": f"{number:03}"} for number in range(120)]
    write_page(own_folder / "index.html", [Run("run", own_folder, rows)])
    page = open_page(own_folder / "index.html")
    assert len(names(page)) == 50
    page.get_by_role("button", name="Show 50 more of 70").click()
    assert len(names(page)) == 100
    assert page.evaluate("document.activeElement.querySelector('h2').innerText") == "050"
    for _ in range(60):
        page.keyboard.press("j")
    assert (current(page), len(names(page))) == ("110", 120)
    page.keyboard.press("Space")
    page.locator(".row[aria-current] .wave.started").wait_for()


def test_a_page_with_links_can_be_moved_with_its_folder(open_page: Open, own_folder: Path) -> None:
    run = evaluated(own_folder / "out")
    write_page(own_folder / "out" / "index.html", [run], max_embedded=0)
    (own_folder / "out").rename(own_folder / "moved #1")
    page = open_page(own_folder / "moved #1" / "index.html")
    assert "move them together" in page.locator("#summary").inner_text()
    page.keyboard.press("Space")
    wait_for_sound(page, "Result")


def test_a_page_without_links_can_be_moved_alone(open_page: Open, single: Path, own_folder: Path) -> None:
    shutil.move(single, own_folder.parent / "sent.html")
    shutil.rmtree(own_folder / "out")
    page = open_page(own_folder.parent / "sent.html")
    assert page.locator(".row a").count() == 0
    page.keyboard.press("Space")
    wait_for_sound(page, "Result")


def listen_and_vote(page: Page, vote: str) -> None:
    done = page.locator("#blind progress").get_attribute("value")
    for key, title in (("1", "First"), ("2", "Second")):
        page.keyboard.press(key)
        wait_for_sound(page, title)
    page.keyboard.press(vote)
    assert page.locator(f"#blind progress[value='{done}']").count() == 0 or page.locator("#blind .outcome").count() == 1


def save(page: Page, button: str) -> dict[str, Any]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    assert download.value.suggested_filename.startswith("votes-")
    return dict(json.loads(Path(download.value.path()).read_text()))


def test_blind_votes_are_saved(open_page: Open, pair: Path) -> None:
    page = open_page(pair)
    page.get_by_role("button", name="Blind test").click()
    page.get_by_label("Which one sounds more natural?").check()
    page.get_by_role("button", name="Start with 3 pairs").click()
    hidden = page.locator("#blind").inner_text()
    assert not any(word in hidden for word in ("old", "new", ".wav", "right", "A ·", "B ·"))
    page.keyboard.press("f")
    assert status(page) == "Listen to both recordings first"
    for vote in "fs":
        listen_and_vote(page, vote)
    page.keyboard.press("u")
    page.get_by_text("Pair 2 of 3").wait_for()
    page.reload()  # the votes are in the browser's storage
    page.get_by_role("button", name="Blind test").click()
    page.get_by_text("Pair 2 of 3").wait_for()
    for vote in "sn":
        listen_and_vote(page, vote)
    page.get_by_text("All pairs are done").wait_for()
    found = save(page, "Save the votes")
    assert (found["complete"], found["question"]) == (True, "Which one sounds more natural?")
    assert [entry["vote"] for entry in found["votes"]] == ["first", "second", "none"]
    assert sorted(entry["id"] for entry in found["votes"]) == ["plain", "right", "wrong"]
    for entry in found["votes"]:
        assert {entry["first"], entry["second"]} == {"old", "new"}
        assert entry["preferred"] == (None if entry["vote"] == "none" else entry[entry["vote"]])
    preferred = [entry["preferred"] for entry in found["votes"]]
    assert found["totals"] == [preferred.count("old"), preferred.count("new"), 1]
    outcome = page.locator(".outcome").inner_text()
    assert "A · old" in outcome
    assert f"{found['totals'][1]} of 3" in outcome


def test_the_order_of_a_blind_test_is_random(open_page: Open, pair: Path) -> None:
    orders = set()
    for _ in range(12):  # of 48 orders of three pairs
        page = open_page(pair, script="Object.defineProperty(window, 'localStorage', {get() { throw new Error(); }})")
        page.get_by_role("button", name="Blind test").click()
        page.get_by_role("button", name="Start with").click()
        listen_and_vote(page, "f")
        listen_and_vote(page, "f")
        found = save(page, "Save the votes so far")
        orders.add(tuple((entry["id"], entry["first"]) for entry in found["votes"]))
        assert not found["complete"]
        page.context.close()
    assert len(orders) > 2


def test_stored_votes_that_do_not_fit_are_dropped(open_page: Open, pair: Path) -> None:
    page = open_page(pair)
    key = page.evaluate("JSON.parse(document.getElementById('data').textContent).key")
    session = {"question": "quality", "pairs": [{"row": 99, "first": 0}], "votes": []}
    for value in ("null", "7", "not JSON", json.dumps(session), json.dumps({**session, "question": "__proto__"})):
        page.evaluate("([key, value]) => localStorage.setItem(`valle-page-votes-${key}`, value)", [key, value])
        page.reload()
        page.get_by_role("button", name="Blind test").click()
        page.get_by_role("button", name="Start with 3 pairs").wait_for()


def test_two_runs_side_by_side(open_page: Open, pair: Path) -> None:
    page = open_page(pair)
    page.keyboard.press("j")
    for key, title in (("a", "A · old"), ("b", "B · new"), ("p", "Prompt")):
        page.keyboard.press(key)
        wait_for_sound(page, title)
    page.locator("#sort").select_option("change/similarity")  # from A to B: right -0.1, wrong +0.1
    assert names(page) == ["right", "wrong", "plain", "broken"]
    page.locator("#direction").click()
    assert names(page) == ["wrong", "right", "plain", "broken"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_accessibility_and_width(open_page: Open, pair: Path, scheme: str, viewport: dict[str, int]) -> None:
    page = open_page(pair, viewport=viewport, color_scheme=scheme)

    def check(view: str) -> None:
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view

    page.keyboard.press("j")
    check("list")
    page.keyboard.press("?")
    check("help")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Blind test").click()
    check("start")
    page.get_by_role("button", name="Start with").click()
    check("pair")
    for vote in "fsn":
        listen_and_vote(page, vote)
    check("result")


def test_buttons_are_large_enough_for_fingers(open_page: Open, pair: Path) -> None:
    page = open_page(pair, viewport=PHONE, has_touch=True)
    sizes = page.locator("button:visible").evaluate_all(
        "all => all.map(each => [each.innerText, each.offsetWidth, each.offsetHeight])"
    )
    assert sizes
    assert [name for name, width, height in sizes if min(width, height) < 40] == []
    page.locator("#next").tap()
    page.get_by_role("button", name="B", exact=True).tap()
    wait_for_sound(page, "B · new")


def test_motion_is_reduced_if_asked_for(open_page: Open, single: Path) -> None:
    record = "Element.prototype.scrollIntoView = function (options) { window.behavior = options.behavior; }"
    for wish, behavior in {"reduce": "auto", "no-preference": "smooth"}.items():
        page = open_page(single, reduced_motion=wish, script=record)
        page.keyboard.press("j")
        assert page.evaluate("window.behavior") == behavior
