"""A real Chromium without a window, driven by its DevTools protocol. See ``needs_chromium``."""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium")
SECONDS = 60


class Browser:
    """
    One page in a Chromium that can reach nothing. ``errors``: what went wrong in it, and all that it asked the network
    for.
    """

    def __init__(self, socket):
        self._socket = socket
        self._number = 0
        self.errors = []

    async def send(self, method, **params):
        """The result of a command."""
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=SECONDS)
            self._note(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(params["args"])
        elif method == "Log.entryAdded":
            self.errors.append(params["entry"])
        elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:")):
            self.errors.append(params["request"]["url"])

    async def open(self, path, width=1300, height=900, dark=False, phone=False, scale=1):
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )
        if phone:
            await self.send("Emulation.setTouchEmulationEnabled", enabled=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])
        await self.send("Page.navigate", url=f"file://{path}")
        await self.until("document.readyState === 'complete'")
        await self.settle()

    async def settle(self):
        """What the page draws by itself is drawn."""
        await self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    async def run(self, script):
        """The value of an expression."""
        answer = await self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script):
        """Wait until it is true."""
        deadline = time.monotonic() + SECONDS
        while not await self.run(script):
            assert time.monotonic() < deadline, script
            await asyncio.sleep(0.02)

    async def click(self, script, place=None):
        """With the mouse, on the element that this is: at a place from its left and top, or in the middle."""
        where = "[b.x + b.width / 2, b.y + b.height / 2]" if place is None else f"[b.x + {place[0]}, b.y + {place[1]}]"
        x, y = await self.run(
            "(e => {e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect();"
            f" return {where}}})({script})"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        await self.settle()

    async def type(self, selector, text):
        """Into this field."""
        await self.run(f"document.querySelector({json.dumps(selector)}).select()")
        await self.send("Input.insertText", text=text)

    async def picture(self, whole=False):
        """A PNG of what is shown, or of the whole page."""
        shown = await self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(shown["data"])


@contextlib.asynccontextmanager
async def browser():
    """One that is gone afterwards."""
    with tempfile.TemporaryDirectory() as profile:
        argv = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        argv += [
            "--disable-background-networking",
            "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ]
        argv += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "--hide-scrollbars", "about:blank"]
        process = subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            port = next(found[1] for line in process.stderr if (found := re.search(r"ws://127.0.0.1:(\d+)/", line)))
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    (url,) = [each["webSocketDebuggerUrl"] for each in await answer.json() if each["type"] == "page"]
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    yield Browser(socket)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
