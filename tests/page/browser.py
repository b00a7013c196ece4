# SPDX-License-Identifier: Apache-2.0
"""Chromium by its DevTools protocol, over two pipes: JSON texts that end in a zero byte. No library."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class Browser:
    """One headless Chromium with one page. Every request, console text and exception is kept."""

    def __init__(self, width=1440, height=900, dark=False):
        self.folder = tempfile.mkdtemp(prefix="throughline-chromium-")
        to_read, self.to_write = os.pipe()
        self.to_us, from_write = os.pipe()
        command = [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
                   f"--user-data-dir={self.folder}", "about:blank"]
        # Chromium reads descriptor 3 and writes 4; high copies first, lest one overwrite the other.
        high_read, high_write = os.dup(to_read), os.dup(from_write)
        while high_read < 10 or high_write < 10:
            high_read, high_write = (os.dup(fd) if fd < 10 else fd for fd in (high_read, high_write))
        shell = f'exec "$@" 3<&{high_read} 4>&{high_write}'
        self.process = subprocess.Popen(["/bin/bash", "-c", shell, "sh", *command], pass_fds=(high_read, high_write),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (to_read, from_write, high_read, high_write):
            os.close(fd)
        self.buffer, self.number, self.session = b"", 0, None
        self.requests, self.console, self.answers = [], [], {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.size(width, height)
        self.dark(dark)

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, wanted):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if wanted else "light"}])

    def send(self, method, parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_write, json.dumps(message).encode() + b"\0")
        return self.number

    def read(self, deadline):
        """One message, or None at the deadline."""
        while b"\0" not in self.buffer:
            if not select.select([self.to_us], [], [], max(0, deadline - time.time()))[0]:
                return None
            more = os.read(self.to_us, 1 << 20)
            assert more, "chromium ended"
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def notice(self, message):
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.console.append(json.dumps(parameters["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.console.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")

    def call(self, method, seconds=20, **parameters):
        number, deadline = self.send(method, parameters), time.time() + seconds
        while True:
            message = self.read(deadline)
            assert message is not None, f"chromium did not answer {method}"
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.notice(message)

    def run(self, script):
        """The value of an expression in the page; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (script, result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, script, seconds=15):
        """Waits for an expression to be true; says what the page showed if it never is."""
        deadline = time.time() + seconds
        # A document that is not there yet is a no, as well.
        while not self.run(f"(() => {{ try {{ return !!({script}); }} catch {{ return false; }} }})()"):
            assert time.time() < deadline, (script, self.run("location.href"), self.run("document.body.innerText")[:3000], self.console)
            message = self.read(time.time() + 0.05)
            if message:
                self.notice(message)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def press(self, key, text=None):
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39}
        parameters = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
        if key == "Enter":
            text = "\r"
        elif len(key) == 1:
            text = key
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **parameters, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **parameters)

    def click(self, selector):
        """A real click in the middle of the element, wherever it is."""
        box = self.run(f"""(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});
            const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        try:
            self.session = None
            self.send("Browser.close", {})
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to_write)
        os.close(self.to_us)
        shutil.rmtree(self.folder, ignore_errors=True)
