"""Live figures in Chromium, from a folder without a network: what a reader, a keyboard, a link and a printer get."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re

import pytest

from browsing import DESKTOP, PAPER, PHONE, Visit
from elbo import live

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("live")]
TEXT = ".elbo-live-text"


@pytest.fixture(scope="session")
def live_book(chromium, tmp_path_factory):
    """A book with every live figure on a page of its own."""
    from filelock import FileLock

    from live_book import build

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with FileLock(shared / "live-book.lock"):
        html = shared / "live-book" / "_build" / "html"
        if not html.exists():
            build(shared / "live-book")
    return html


@pytest.fixture
def page(visit, live_book):
    """``page(id, query, **options)``: the page of a figure once the figure has started, or has given up."""

    def go(id: str, query: str = "", started: bool = True, **options) -> Visit:
        seen = visit(live_book / "book" / f"{id}.html", query=query, **options)
        if started:
            seen.page.locator("elbo-live").scroll_into_view_if_needed()
            seen.page.wait_for_function("document.querySelector('elbo-live').matches('.elbo-live-on, [data-failed]')")
        return seen

    return go


@pytest.fixture(scope="module", params=live.IDS)
def opened(request, chromium, live_book):
    """A figure's page, opened once for the tests that leave it as it was."""
    seen = Visit(chromium, live_book / "book" / f"{request.param}.html")
    seen.id = request.param
    seen.page.locator("elbo-live").scroll_into_view_if_needed()
    seen.page.wait_for_function("document.querySelector('elbo-live').matches('.elbo-live-on, [data-failed]')")
    yield seen
    seen.close()


def text(seen: Visit) -> str:
    return seen.page.locator(TEXT).text_content()


def state(seen: Visit) -> dict:
    return seen.ask("document.querySelector('elbo-live').figure.state")


def put(seen: Visit, values: dict) -> None:
    """Set a state and wait until it is drawn."""
    seen.page.evaluate(
        "state => new Promise(done => { document.querySelector('elbo-live').figure.set(state);"
        " requestAnimationFrame(() => requestAnimationFrame(done)); })",
        values,
    )


def drawn(figure, draw: random.Random) -> dict:
    found = {}
    for c in figure.controls:
        allowed = c.values or tuple(range(len(c.options)))
        found[c.name] = c.clean(draw.choice(allowed) if allowed else draw.uniform(c.low, c.high))
    return found


def test_it_starts_and_says_what_python_says(opened):
    opened.look()
    put(opened, live.figure(opened.id).default)
    assert opened.page.locator("elbo-live.elbo-live-on").count() == 1
    assert text(opened) == live.say(opened.id)
    assert not opened.page.locator(".elbo-figure-image").is_visible()


def test_25_random_states_say_what_python_says(opened):
    figure, draw = live.figure(opened.id), random.Random(opened.id + "browser")
    for _ in range(25):
        values = drawn(figure, draw)
        put(opened, values)
        assert state(opened) == values
        assert text(opened) == live.say(opened.id, **values), values


def test_arrow_keys_move_every_slider_by_a_step(opened):
    figure = live.figure(opened.id)
    for control in figure.controls:
        put(opened, {**figure.default, **({"tab": control.tab} if control.tab is not None else {})})
        before = state(opened)[control.name]
        if control.options:
            opened.page.locator(f"[data-name={control.name}] input:checked").focus()
        else:
            opened.page.locator(f"[id='{opened.id}-{control.name}']").focus()
        key = "ArrowLeft" if before == control.corners()[-1] else "ArrowRight"
        opened.page.keyboard.press(key)
        opened.page.wait_for_function(
            "([name, was]) => document.querySelector('elbo-live').figure.state[name] !== was",
            arg=[control.name, before],
        )
        opened.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert text(opened) == live.say(opened.id, **state(opened))


def test_a_handle_is_dragged(opened):
    figure = live.figure(opened.id)
    put(opened, figure.default)
    handles = opened.page.locator(".elbo-live-handle")
    if not handles.count():
        pytest.skip("nothing to drag here: its controls are choices or sums")
    opened.page.locator("elbo-live").scroll_into_view_if_needed()
    box = handles.first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x - 70, y + 12, steps=4)
    opened.page.mouse.up()
    opened.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert state(opened) != figure.default
    assert text(opened) == live.say(opened.id, **state(opened))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_a_phone_does_not_scroll_sideways(opened, theme, screen):
    opened.look(screen, theme)
    put(opened, live.figure(opened.id).default)
    assert opened.violations() == []
    assert opened.ask("document.documentElement.scrollWidth") <= screen["width"]
    small = "parseFloat(getComputedStyle(it).fontSize) < 12"
    assert opened.ask(f"[...document.querySelectorAll('.elbo-live-ui *')].filter(it => {small}).length") == 0
    low = "it.offsetHeight && it.getBoundingClientRect().height < 24"
    targets = ".elbo-live-ui :is(button, input[type=range], label > span)"
    assert opened.ask(f"[...document.querySelectorAll('{targets}')].filter(it => {low}).length") == 0
    cut = "it.getBoundingClientRect().right > innerWidth + 1 || it.getBoundingClientRect().left < -1"
    assert (
        opened.ask(
            f"[...document.querySelectorAll('.elbo-live-plot text')].filter(it => {cut}).map(it => it.textContent)"
        )
        == []
    )


def test_the_drawing_says_its_finding(opened):
    label = opened.page.locator(".elbo-live-plot svg").get_attribute("aria-label")
    assert live.figure(opened.id).question in label and text(opened) in label


def test_on_paper_stands_the_static_figure(opened):
    opened.look(PAPER, "dark", "print")
    assert opened.page.locator(".elbo-figure-image img").is_visible()
    assert not opened.page.locator(".elbo-live-ui").is_visible()
    opened.look()


def test_python_line_prints_the_sentence(opened):
    put(opened, live.figure(opened.id).default)
    opened.page.get_by_role("button", name="Python", exact=True).click()
    line = opened.page.locator(".elbo-live-panel pre").text_content()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(line, {})
    assert printed.getvalue().strip() == text(opened)
    opened.page.get_by_role("button", name="Cite", exact=True).click()
    cited = opened.page.locator(".elbo-live-panel pre").text_content()
    assert cited.startswith(f"@misc{{{opened.id},") and f"#{opened.id}" in cited and "@URL@" not in cited


def test_files_are_handed_over(opened):
    for name, start in (("CSV", b""), ("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with opened.page.expect_download() as download:
            opened.page.get_by_role("button", name=name, exact=True).click()
        with open(download.value.path(), "rb") as file:
            content = file.read()
        assert download.value.suggested_filename == f"{opened.id}.{name.lower()}"
        assert content.startswith(start) and len(content) > 40
        assert b"var(--" not in content


def test_nothing_was_asked_of_the_network_and_nothing_complained(opened):
    """Last of the tests of an open page."""
    assert opened.refused == []
    assert opened.complaints == []


@pytest.mark.parametrize("id", live.IDS)
def test_the_address_of_a_state_gives_it_back(page, id):
    first = page(id)
    control = next((c for c in live.figure(id).controls if not c.options and c.tab in (None, 0)), None)
    if control:
        first.page.locator(f"[id='{id}-{control.name}']").focus()
        first.page.keyboard.press("ArrowLeft")
    else:
        first.page.locator(f"[data-name={live.figure(id).controls[0].name}] input").last.check(force=True)
    first.page.wait_for_function("location.search.length > 1")
    query = first.ask("location.search + location.hash")
    assert query.endswith(f"#{id}") and re.fullmatch(r"[\w?=:,.#-]+", query)
    second = page(id, query)
    assert text(second) == text(first)
    assert state(second) == state(first) != live.figure(id).default
    assert second.complaints == []


@pytest.mark.parametrize("id", live.IDS)
def test_a_hostile_address_changes_nothing(page, id):
    names = [c.name for c in live.figure(id).controls]
    value = f"{names[0]}:NaN,{names[-1]}:1e309,x:<img src=x onerror=alert(1)>,__proto__:1,constructor:2,:,::"
    seen = page(id, f"?{id}={value}&other=<b>#{id}")
    if id != "kingma-welling-2013-live-amortisation":  # its only control is called x: the text after it is no number
        assert text(seen) == live.say(id)
    assert state(seen) == live.figure(id).default
    assert seen.complaints == []
    far = page(id, f"?{id}={','.join(f'{name}:999999' for name in names)}")
    assert text(far) == live.say(id, **{c.name: 999999 for c in live.figure(id).controls})


@pytest.mark.parametrize("id", [id for id in live.IDS if live.figure(id).payload])
def test_without_its_payload_the_static_figure_stays(visit, live_book, id):
    seen = visit(live_book / "book" / "index.html")
    seen.context.route("**/*.payload.js*", lambda route: route.abort())
    seen.page.goto((live_book / "book" / f"{id}.html").as_uri())
    seen.page.locator("elbo-live").scroll_into_view_if_needed()
    seen.page.wait_for_function("document.querySelector('elbo-live').dataset.failed")
    assert seen.page.locator(".elbo-figure-image img").is_visible()
    assert seen.page.locator(".elbo-live-ui").count() == 0


@pytest.mark.parametrize("id", [id for id in live.IDS if live.figure(id).payload])
def test_a_payload_comes_when_the_figure_comes_near(visit, live_book, id):
    seen = visit(live_book / "book" / "index.html")
    far = (
        "document.head.append(Object.assign(document.createElement('style'), {textContent: 'elbo-live {margin-top: "
        "6000px}'}))"
    )
    seen.page.add_init_script(f"document.addEventListener('readystatechange', () => {{ {far} }}, {{once: true}})")
    seen.page.goto((live_book / "book" / f"{id}.html").as_uri())
    seen.page.wait_for_timeout(500)
    fetched = "[...document.scripts].filter(it => it.src.includes('payload')).length"
    assert seen.ask(fetched) == 0 and seen.page.locator(".elbo-live-ui").count() == 0
    seen.page.locator("elbo-live").scroll_into_view_if_needed()
    seen.page.wait_for_function("document.querySelector('elbo-live').matches('.elbo-live-on')")
    assert seen.ask(fetched) == 1


@pytest.mark.parametrize("id", live.IDS)
def test_without_scripts_the_static_figure_stands(page, id):
    bare = page(id, started=False, java_script_enabled=False)
    image = bare.page.locator(".elbo-figure-image img")
    image.scroll_into_view_if_needed()
    assert image.is_visible() and len(image.get_attribute("alt")) > 40
    assert bare.page.locator(".elbo-live-question").is_visible()


@pytest.mark.parametrize("id", live.IDS)
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_does_not_jump(visit, live_book, id, screen):
    seen = visit(live_book / "book" / f"{id}.html", viewport=screen)
    seen.page.wait_for_function("document.querySelector('elbo-live').matches('.elbo-live-on')")
    seen.page.wait_for_timeout(300)
    shift = seen.ask(
        "new Promise(done => new PerformanceObserver(list => done(list.getEntries().reduce((sum, it) => sum + "
        "it.value, 0))).observe({type: 'layout-shift', buffered: true}) || setTimeout(() => done(0), 500))"
    )
    assert shift <= 0.02


@pytest.mark.parametrize("id", [id for id in live.IDS if live.figure(id).predict])
def test_a_guess_hides_the_answer_until_it_is_revealed(page, id):
    seen, asked = page(id), live.figure(id).predict
    seen.page.get_by_role("button", name="Predict", exact=True).click()
    seen.page.wait_for_function(f"document.querySelector('{TEXT}').textContent.includes('Reveal')")
    assert text(seen) == asked.prompt
    if asked.control:
        seen.page.locator(f"[id='{id}-{asked.control.name}']").focus()
        seen.page.keyboard.press("ArrowRight")
    seen.page.get_by_role("button", name="Reveal", exact=True).click()
    figure = live.figure(id)
    guess = {"guess": asked.control.default + asked.control.step} if asked.control else {}
    from elbo.live.spec import fill

    now = state(seen)
    assert text(seen) == fill(asked.revealed, {**now, **figure.terms(**now), **guess})
    seen.page.get_by_role("button", name="Reset", exact=True).click()
    seen.page.wait_for_function(
        "want => document.querySelector('.elbo-live-text').textContent === want", arg=live.say(id)
    )


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_a_link_in_the_prose_sets_a_state(page, motion):
    id = "elbo-four-cuts"
    seen = page(id, reduced_motion=motion)
    seen.page.locator("a.elbo-live-set").click()
    last = live.figure(id).controls[-1]
    want = live.say(id, **{last.name: last.corners()[0]})
    seen.page.wait_for_function("want => document.querySelector('.elbo-live-text').textContent === want", arg=want)
    assert f"?{id}=" in seen.page.url


def test_the_announcement_waits_until_a_change_has_settled(page):
    seen = page("elbo-four-cuts")
    seen.page.locator("[id='elbo-four-cuts-sd']").focus()
    seen.page.keyboard.press("ArrowRight")
    assert seen.page.locator(".elbo-live-ui [role=status]").text_content() == ""
    seen.page.wait_for_timeout(900)
    assert seen.page.locator(".elbo-live-ui [role=status]").text_content() == text(seen)


@pytest.mark.parametrize("id", ["elbo-four-cuts", "kingma-welling-2013-live-gradients"])
def test_it_runs_as_an_anywidget(visit, live_book, id):
    """anywidget's contract, ``render({model, el})``, with a model of our own; the module comes as data."""
    import base64
    import json

    from elbo.live import widget

    seen = visit(live_book / "book" / "live.html")
    module = "data:text/javascript;base64," + base64.b64encode(widget.esm(id).encode()).decode()
    seen.page.evaluate(
        """async ([module, held]) => {
          const figure = (await import(module)).default, heard = {};
          window.model = {get: name => held[name], set: (name, value) => { held[name] = value; },
            save_changes: () => { window.saved = held.state; }, on: (name, act) => { heard[name] = act; },
            push: state => { held.state = state; heard["change:state"](); }};
          figure.render({model, el: document.querySelector("article")});
        }""",
        [module, json.loads(json.dumps(widget.traits(id)))],
    )
    assert text(seen) == live.say(id)
    control = live.figure(id).controls[0]
    seen.page.locator(f"[id='{id}-{control.name}']").focus()
    seen.page.keyboard.press("ArrowRight")
    seen.page.wait_for_function("window.saved")
    saved = seen.ask("window.saved")
    assert saved[control.name] == pytest.approx(control.default + control.step)
    assert text(seen) == live.say(id, **saved)
    seen.ask("model.push({})")
    seen.page.wait_for_function(
        "want => document.querySelector('.elbo-live-text').textContent === want", arg=live.say(id, **saved)
    )
