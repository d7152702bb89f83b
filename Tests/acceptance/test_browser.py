"""The pages for people, in a real browser: what they show, and that they ask nobody but the gateway."""

import shutil
from urllib.parse import urlsplit

import pytest

from outside.people import PASSWORD
from outside.platform import eventually

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, platform):
    """A page that may fail at nothing and ask nobody else."""
    context = chromium.new_context(base_url=platform.url)
    page = context.new_page()
    page.set_default_timeout(60_000)
    failed, elsewhere = [], []
    own = urlsplit(platform.url).netloc
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("request", lambda request: elsewhere.append(request.url)
            if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and urlsplit(request.url).netloc != own else None)
    yield page
    context.close()
    assert failed == [] and elsewhere == []


def watch(page, person):
    page.goto("/live")
    page.fill("#email", person.email)
    page.fill("#password", PASSWORD)
    page.click("button")
    page.wait_for_function("document.getElementById('state').textContent === 'live'")


def test_a_call_is_seen_as_it_happens(page, owner, carrier):
    number = owner.number()["phone_number"]
    owner.post("/api/v1/knowledge", {"title": "Parking", "content": "Visitors park free of charge behind the mill."}, 201)
    watch(page, owner)
    call = carrier.ring(number).answer()
    call.say("Where can visitors park? <b id=injected>here</b>")
    page.get_by_text("Caller: Where can visitors park? <b id=injected>here</b>").wait_for()
    page.get_by_text("AI: ").get_by_text("behind the mill").wait_for()
    assert page.locator("#injected").count() == 0, "what a caller says is text, never markup"
    call.say("You are wonderful, this was a great help, thank you so much!")
    page.locator("article.positive").wait_for()
    call.hang_up(seconds=20)
    page.locator("article.ended").wait_for()
    page.get_by_text("QA 0.").or_(page.get_by_text("QA 1.")).first.wait_for()
    assert "in_progress" not in page.locator("article .facts").inner_text()
    page.locator("article .facts", has_text="completed").wait_for()


def test_calls_under_way_are_there_from_the_beginning_and_others_never(page, owner, stranger, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    other = carrier.ring(stranger.number()["phone_number"]).answer()
    eventually(lambda: owner.get("/api/v1/calls", status="in_progress")["calls"], 10, "the call is under way")
    watch(page, owner)
    page.locator("article").first.wait_for()
    other.say("Is anybody there?")
    call.say("Hello, I have a question.")
    page.get_by_text("Caller: Hello, I have a question.").wait_for()
    assert page.locator("article").count() == 1
    call.hang_up()
    other.hang_up()


def test_a_wrong_password_is_told(page, owner):
    page.goto("/live")
    page.fill("#email", owner.email)
    page.fill("#password", "not it")
    page.click("button")
    page.wait_for_function("document.getElementById('state').textContent.length > 10")
    assert page.is_visible("#login")


def test_the_session_ends_on_the_page_too(page, owner):
    watch(page, owner)
    assert owner.ask("DELETE", "/api/auth/sessions/").status_code in (200, 204)
    page.locator("#login").wait_for(state="visible")


def test_the_api_can_be_tried_out(page):
    page.goto("/api/docs/")
    # It draws what is scrolled to; human agents come early.
    block = page.locator(".opblock-get", has_text="List human agents")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Execute").click()
    block.locator(".live-responses-table .response-col_status", has_text="401").wait_for()


def test_the_api_can_be_read(page):
    page.goto("/api/redoc/")
    page.get_by_text("One call with its score, escalation and human").first.wait_for(state="attached")
