"""The page of a report in a real Chromium, which can reach nothing: what people see and do there."""

import asyncio
import json
import re
from dataclasses import replace

import pytest

pytest.importorskip("aiohttp")

from chromium import browser, needs_chromium
from saltext.wireguard.control.report import gather
from saltext.wireguard.report.page import page, recall
from saltext.wireguard.report.values import Report
from wgmachines.made_up import MadeUp

pytestmark = needs_chromium

PHONE = {"width": 390, "height": 844, "phone": True}
ROWS = "[...document.querySelectorAll('#all-nodes tbody tr')]"
SHOWN = f"{ROWS}.filter(row => !row.hidden).map(row => row.cells[0].textContent)"
CANVAS = "document.querySelector('.matrix canvas')"
DETAILS = "document.getElementById('details').innerText"


class Pages(dict):
    """Number of nodes -> the page of a mesh that large, made when it is first needed."""

    def __init__(self, folders):
        self._folders = folders

    def __missing__(self, count):
        folder = self._folders.mktemp(f"mesh{count}")
        mesh = MadeUp(folder, count)
        picture = mesh.look()
        report = gather(picture, None, mesh.pings(picture) if count == 40 else None)
        self[count] = folder / "mesh.html"
        self[count].write_text(page(report, recall(page(report, None))))
        return self[count]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return Pages(tmp_path_factory)


def use(path, story, **options):
    """Open a page, do what the story says, and see that nothing went wrong in it, and that it asked for nothing."""

    async def run():
        async with browser() as tab:
            await tab.open(path, **options)
            answer = await story(tab)
            assert tab.errors == []
            return answer

    return asyncio.run(run())


@pytest.mark.parametrize("options", [{}, {"dark": True}, PHONE], ids=["light", "dark", "phone"])
@pytest.mark.parametrize("count", [5, 500])
def test_the_page_opens_without_a_word_on_the_console_and_asks_for_nothing(pages, count, options):
    async def story(tab):
        assert await tab.run("document.querySelectorAll('svg.topology .node').length") == count + 2
        assert len(await tab.run(SHOWN)) == count + 2
        # Nothing is wider than the screen: tables and the navigation scroll by themselves.
        assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
        return await tab.run("getComputedStyle(document.body).backgroundColor")

    assert pages[count].stat().st_size < 3_000_000
    background = use(pages[count], story, **options)
    assert (background == "rgb(255, 255, 255)") is not options.get("dark", False)


def test_the_search_leaves_the_rows_that_have_all_words(pages):
    async def story(tab):
        await tab.type("input[data-table='all-nodes']", "FRA 10.42.0.1")
        found = await tab.run(SHOWN)
        count = await tab.run("document.querySelector('[data-count=all-nodes]').textContent")
        return found, count

    found, count = use(pages[40], story)
    assert len(found) > 1
    assert all(name.startswith("fra-") for name in found)
    assert count == f"{len(found)} of 42 rows"


def test_the_nodes_that_need_a_look_can_be_had_alone(pages):
    async def story(tab):
        await tab.click("document.querySelector('[data-look=all-nodes]')")
        return await tab.run(SHOWN)

    found = use(pages[40], story)
    assert 0 < len(found) < 42
    assert "ams-004" not in found


def test_a_click_on_a_heading_sorts_by_it_and_another_one_turns_it_round(pages):
    async def story(tab):
        place = "[...document.querySelectorAll('#all-nodes th')].findIndex(head => head.textContent === 'Up')"
        numbers = f"{ROWS}.map(row => Number(row.cells[{place}].textContent))"
        heading = f"document.querySelectorAll('#all-nodes th button')[{place}]"
        await tab.click(heading)
        up = await tab.run(numbers)
        await tab.click(heading)
        down = await tab.run(numbers)
        await tab.click("document.querySelector('#all-nodes th button')")
        return up, down, await tab.run(SHOWN)

    up, down, names = use(pages[500], story)
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert up[0] != up[-1]
    assert names == sorted(names)


def test_a_click_on_a_node_of_the_picture_tells_of_it_and_its_peers(pages):
    async def story(tab):
        await tab.click("document.querySelector('.node.behind circle, .node.behind polygon')")
        rays = await tab.run("document.querySelectorAll('.rays path').length")
        await tab.click("document.querySelector('#details li button')")  # the peer that needs a look most
        return rays, await tab.run(DETAILS), await tab.run("document.querySelector('tr.chosen').cells[0].textContent")

    rays, details, chosen = use(pages[5], story)
    assert rays == 6
    assert details.startswith(chosen)
    assert "6 peers" in details
    assert re.search(r"\n10\.42\.0\.\d, fd42::\d\n", details)
    assert "registered: it registered for the first time" in details


def test_a_click_on_a_row_chooses_the_node_in_the_picture(pages):
    async def story(tab):
        row = "document.querySelector('#all-nodes tbody tr:nth-child(9)')"
        await tab.click(f"{row}.cells[0]")
        chosen = await tab.run("document.querySelector('.node.chosen title').textContent")
        return await tab.run(f"{row}.cells[0].textContent"), chosen, await tab.run(DETAILS)

    name, title, details = use(pages[40], story)
    assert title.startswith(name)
    assert details.startswith(name)


def test_a_node_can_be_chosen_by_the_keyboard(pages):
    async def story(tab):
        await tab.run("document.querySelector('.node[data-node=\"3\"]').focus()")
        for kind in ("keyDown", "keyUp"):
            await tab.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)
        return await tab.run(DETAILS)

    assert use(pages[5], story).startswith("ams-004")


def test_a_site_is_zoomed_into_and_names_appear(pages):
    async def story(tab):
        name = "getComputedStyle(document.querySelector('.topology text.small')).display"
        box = "document.querySelector('.topology').getAttribute('viewBox')"
        before, whole = await tab.run(name), await tab.run(box)
        await tab.run("document.querySelectorAll('.disc')[2].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        near = await tab.run(name)
        await tab.click("document.querySelector('[data-zoom=out]')")
        await tab.click("document.querySelector('[data-zoom=all]')")
        return before, near, whole == (await tab.run(box)).replace(",", " ")

    assert use(pages[500], story) == ("none", "block", True)


@pytest.mark.parametrize("options", [{}, PHONE], ids=["mouse", "phone"])
def test_the_matrix_of_sites_leads_to_the_nodes_of_two_sites(pages, options):
    async def story(tab):
        before = await tab.run("document.querySelector('.matrix select').value")
        await tab.click(CANVAS, (120, 150))
        after = await tab.run("document.querySelector('.matrix select').value")
        return before, after, await tab.run("!document.querySelector('.matrix button').hidden")

    assert use(pages[500], story, **options) == ("sites", "nodes", True)


def test_the_matrix_says_what_is_under_the_pointer_and_how_pings_came_back(pages):
    async def story(tab):
        by = "document.querySelectorAll('.matrix select')"
        for number, value in ((0, "nodes"), (1, "round trip")):
            await tab.run(f"(s => {{s.value = '{value}'; s.dispatchEvent(new Event('change'))}})({by}[{number}])")
        await tab.click(CANVAS, (300, 200))
        return await tab.run("document.querySelector('.readout').textContent"), await tab.run(DETAILS)

    said, details = use(pages[40], story)
    node, _, peer = said.partition(":")[0].split(" ")
    assert re.fullmatch(r"\S+ to \S+: (up|idle|down), (\d+(\.\d+)? ms.*|no ping came back)", said)
    assert details.startswith(node)
    assert peer in details


def hostile(report: Report, text: str) -> Report:
    """With this text in all places where others have a say."""
    (part,) = report.parts
    boxes = tuple(replace(box, text=text, site=text, routes=(text,)) for box in part.graph.boxes)
    standings = {
        name: replace(each, addresses=(text,), endpoint=text, public_key=text, why=text, problem=text)
        for name, each in part.standings.items()
    }
    history = tuple(replace(each, why=text, who=text) for each in report.history)
    hostile_part = replace(part, graph=replace(part.graph, boxes=boxes), standings=standings)
    return replace(report, parts=(hostile_part,), history=history, warnings=(text,))


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.owned = 1</script><img src=x onerror='window.owned = 1'>",
        "</script><script>window.owned = 1</script>",
        "</title></style><svg onload=window.owned=1>",
        "\" autofocus onfocus='window.owned = 1' x=\"",
        "javascript:window.owned=1",
        "${window.owned = 1}\u2028`",
    ],
)
def test_nothing_that_a_node_says_runs(tmp_path, text):
    mesh = MadeUp(tmp_path, 5)
    file = tmp_path / "mesh.html"
    file.write_text(page(hostile(gather(mesh.look()), text), None))

    async def story(tab):
        await tab.click("document.querySelector('.node[data-node=\"3\"] circle')")
        await tab.click("document.querySelector('#all-nodes th button')")
        await tab.type("input[data-table='all-nodes']", text)
        await tab.click(CANVAS)
        assert await tab.run("window.owned === undefined")
        return await tab.run("document.querySelector('#details h3').textContent")

    shown = "".join(char if char.isprintable() else "?" for char in text)
    assert use(file, story) in (text, shown)


def test_a_script_that_got_into_the_page_nevertheless_would_not_run(pages, tmp_path):
    """The policy of the page holds, whatever is wrong with its escaping."""
    file = tmp_path / "mesh.html"
    injected = "<script>window.owned = 1</script><p id=there onclick='window.owned = 1'>x</p>"
    file.write_text(pages[5].read_text().replace("<footer>", f"{injected}<footer>"))

    async def story():
        async with browser() as tab:
            await tab.open(file)
            await tab.click("document.getElementById('there')")
            return await tab.run("window.owned === undefined"), json.dumps(tab.errors)

    safe, errors = asyncio.run(story())
    assert safe
    assert "Content Security Policy" in errors
