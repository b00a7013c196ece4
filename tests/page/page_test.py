#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page in a real Chromium, served by a real agent that was sent real OTLP. One case per run."""
import contextlib
import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import traces  # noqa: E402
from browser import Browser  # noqa: E402
from running import Agent, eventually  # noqa: E402

PROGRAM = sys.argv[2]


@contextlib.contextmanager
def page(*batches, **options):
    """An agent that was sent the batches, and a browser; afterwards, nothing odd may have happened in it."""
    agent = Agent(PROGRAM)
    try:
        for batch in batches:
            traces.send(agent.otlp, *batch)
        spans = sum(trace.count for batch in batches for trace in batch)
        eventually(lambda: check(stored(agent) == spans))
        browser = Browser(**options)
        try:
            yield agent, browser, f"http://127.0.0.1:{agent.api}"
            foreign = [url for url in browser.requests if not url.startswith((f"http://127.0.0.1:{agent.api}/", "about:"))]
            check(not foreign, foreign)
            check(not browser.console, browser.console)
        finally:
            browser.close()
    finally:
        if agent.process.poll() is None:
            agent.stop()


def stored(agent):
    return sum(trace["spans"] for trace in agent.get("/api/v1/traces?limit=1000&lookback=0s")["traces"])


def check(is_true, why=""):
    assert is_true, why


def texts(browser, selector):
    return browser.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.innerText)")


def views():
    """Front page, search and waterfall show what was sent; the cause of a failure is one click away."""
    sent = traces.shop(60)
    failed = [trace for trace in sent if any(span["status"] for spans in trace.groups.values() for span in spans)]
    with page(sent) as (_, browser, base):
        browser.open(base + "/")
        browser.until("document.querySelectorAll('table.services tbody tr').length === 4")
        rows = {row.split()[0]: row for row in texts(browser, "table.services tbody tr")}
        check(set(rows) == {"edge", "orders", "stock", "mailer"}, rows)
        check("15 %" in rows["orders"] and "postgresql/shop" in rows["orders"] and "rabbitmq" in rows["orders"], rows)
        check("rabbitmq" in rows["mailer"] and "smtp.example.com" in rows["mailer"], rows)
        browser.until("document.querySelectorAll('.map .node').length === 9")
        check(len(texts(browser, ".map .node.failed")) == 2)
        browser.until(f"document.querySelectorAll('.front > div:last-child > section:first-child [data-row]').length === {len(failed)}")
        # From the front page to the cause: one click.
        browser.click(".trace-brief [data-row]")
        browser.until("document.querySelector('.panel .failure')")
        panel = texts(browser, ".panel")[0]
        check("INSERT orders" in panel and "deadlock detected" in panel and "Cause of the failure" in panel, panel)
        check(browser.run("document.querySelector('.row.chosen .op').innerText") == "INSERT orders")
        check(browser.run("document.querySelectorAll('.row').length") == 7)
        check(browser.run("document.querySelectorAll('.row.on-path .critical').length") > 4)
        browser.run("history.back()")
        browser.until("location.pathname === '/' && document.querySelector('table.services tbody tr')")
        browser.click("table.services tbody tr:first-child th a")
        browser.until("location.pathname === '/service/orders' && document.querySelectorAll('.paths li').length === 4")
        check("POST /orders" in texts(browser, "table.services")[0])
        browser.click("table.services tbody a")
        browser.until("location.pathname === '/traces' && document.querySelectorAll('.trace-table li').length === 20")
        check(browser.run("document.querySelector('[name=operation]').value") == "POST /orders")
        browser.click(".check input")
        browser.until(f"document.querySelectorAll('.trace-table li').length === {len(failed)} && location.search.includes('errors=1')")
        search(browser, base)
        keys(browser, base, failed[0])


def search(browser, base):
    browser.open(base + "/traces?service=stock&min=1m")
    browser.until("document.body.innerText.includes('No trace matches')")
    check(browser.run("document.querySelector('[name=min]').value") == "1m")
    browser.run("""(() => { const field = document.querySelector('[name=min]'); field.value = 'soon';
        field.dispatchEvent(new Event('change', {bubbles: true})); })()""")
    browser.until("document.querySelector('[role=alert]')?.innerText.includes(\"'min_duration' is not a duration\")")
    browser.console = [text for text in browser.console if "400 (Bad Request)" not in text]
    browser.open(base + "/trace/ffffffffffffffffffffffffffffffff")
    browser.until("document.body.innerText.includes('trace not found')")
    browser.console = [text for text in browser.console if "404 (Not Found)" not in text]


def keys(browser, base, trace):
    """A trace is walked by keys, and each place has an address."""
    browser.open(f"{base}/trace/{trace.trace_id}?span=none")
    browser.until("document.querySelectorAll('.row').length === 7 && document.querySelector('.panel').innerText.includes('Where the time went')")
    browser.run("document.querySelector('.rows').focus()")
    for key, expected in (("ArrowDown", "edge: POST /orders"), ("ArrowDown", "edge: POST,"), ("ArrowRight", "orders: POST /orders"), ("e", "orders: INSERT orders"),
                          ("ArrowLeft", "orders: POST /orders")):
        browser.press(key)
        browser.until(f"document.querySelector('.row.chosen')?.getAttribute('aria-label').startsWith({json.dumps(expected)})")
    browser.press("ArrowLeft")
    browser.until("document.querySelectorAll('.row').length === 3")
    span = browser.run("new URLSearchParams(location.search).get('span')")
    browser.open(f"{base}/trace/{trace.trace_id}?span={span}")
    browser.until("document.querySelector('.row.chosen')?.getAttribute('aria-label').startsWith('orders: POST /orders')")
    browser.press("/")
    for letter in "redis":
        browser.press(letter)
    browser.until("document.querySelector('.find output').innerText === '1 span' && document.querySelectorAll('.row:not(.dim)').length === 1")
    browser.press("Escape")
    browser.press("g")
    browser.press("m")
    browser.until("location.pathname === '/map' && document.querySelectorAll('.map .node').length === 9")
    browser.press("?")
    browser.until("document.querySelector('dialog').open")


def live():
    """What arrives appears without a reload; pausing stops that; the end of the agent is told."""
    with page(traces.shop(6)) as (agent, browser, base):
        browser.open(base + "/")
        browser.until("document.querySelectorAll('table.services tbody tr').length === 4 && document.querySelector('.live').innerText === 'live'")
        browser.run("window.mark = 1")
        fresh = traces.Trace(0xf4e54, time.time_ns() - 100_000_000)
        fresh.span("newcomer", "GET /fresh", traces.SERVER, 0, 80)
        traces.send(agent.otlp, fresh)
        browser.until("document.querySelector('table.services').innerText.includes('newcomer') && document.querySelector('.map').innerHTML.includes('newcomer')", 10)
        browser.until("document.querySelector('.front > div:last-child').innerText.includes('GET /fresh')")
        check(browser.run("window.mark") == 1)
        # A trace that is open grows.
        browser.run(f"history.pushState(null, '', '/trace/{fresh.trace_id}'); dispatchEvent(new PopStateEvent('popstate'))")
        browser.until("document.querySelectorAll('.row').length === 1")
        more = traces.Trace(0xf4e54, fresh.start_ns)
        more.count = 1
        more.span("newcomer", "SELECT late", traces.CLIENT, 5, 20, parent=fresh.groups["newcomer"][0]["spanId"], db__system__name="postgresql")
        traces.send(agent.otlp, more)
        browser.until("document.querySelectorAll('.row').length === 2 && window.mark === 1", 10)
        browser.click(".live")
        browser.until("document.querySelector('.live').innerText === 'paused'")
        eventually(lambda: check(agent.get("/api/v1/traces?limit=1") and b"live_streams_total 1\n" in metrics(agent)))
        browser.click(".live")
        browser.until("document.querySelector('.live').innerText === 'live'")
        began = time.time()
        agent.stop()
        check(time.time() - began < 5, "the agent waited for a stream")
        browser.until("document.querySelector('.live').innerText === 'no connection'")
        browser.console = [text for text in browser.console if "ERR_CONNECTION_REFUSED" not in text and "ERR_INCOMPLETE" not in text]


def metrics(agent):
    import urllib.request
    with urllib.request.urlopen(f"http://127.0.0.1:{agent.api}/metrics", timeout=10) as answer:
        return answer.read()


EVIL = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>'\"&${window.hacked=1}"


def odd():
    """Text from outside stays text; 5,000 spans; a missing parent; clocks that differ; a ring of parents."""
    evil = traces.Trace(0xe41, time.time_ns() - 3_000_000_000)
    root = evil.span(EVIL, EVIL, traces.SERVER, 0, 50, error=EVIL, events=[(4, "exception", {"exception.type": EVIL, "exception.message": EVIL + "2", "exception.stacktrace": EVIL})],
                     links=[{"traceId": f"{7:032x}", "spanId": f"{7:016x}", "attributes": traces.attributes({EVIL: EVIL})}], **{EVIL: EVIL})
    evil.span(EVIL, EVIL, traces.CLIENT, 2, 9, root, db__system__name=EVIL, db__namespace=EVIL)
    lost = traces.Trace(0x105, time.time_ns() - 2_000_000_000)
    below = lost.span("orders", "GET /late", traces.SERVER, 10, 40, parent="00f067aa0ba902b7")
    lost.span("orders", "early", traces.INTERNAL, 3, 20, parent=below)
    ring = traces.Trace(0x416, time.time_ns() - 1_000_000_000)
    ring.span("orders", "a", traces.INTERNAL, 0, 10, parent=f"{0x416:08x}{2:08x}")
    ring.span("orders", "b", traces.INTERNAL, 1, 10, parent=f"{0x416:08x}{1:08x}")
    deep = traces.Trace(0xdee9, time.time_ns() - 900_000_000)
    parent = ""
    for i in range(1500):
        parent = deep.span("orders", f"level {i}", traces.INTERNAL, i * 0.1, 400 - i * 0.2, parent=parent)
    wide = traces.wide(0x51de, time.time_ns() - 12_000_000_000, 5000)
    with page([evil, lost, ring, deep], [wide]) as (_, browser, base):
        for path in ("/", "/map", "/traces", f"/trace/{evil.trace_id}", f"/trace/{evil.trace_id}?span={root}", "/service/" + "%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E"):
            browser.open(base + path)
            browser.until("document.querySelector('main')?.innerText.includes('onerror')")
            check(browser.run("document.querySelector('main img, main script') === null && window.hacked === undefined"), path)
        browser.open(f"{base}/trace/{lost.trace_id}")
        browser.until("document.querySelectorAll('.row').length === 3")
        words = texts(browser, ".trace")[0]
        check("not received" in words and "00f067aa0ba902b7" in words and "1 parent named by these spans has not been received" in words and "1 span began before its parent" in words, words)
        browser.open(f"{base}/trace/{ring.trace_id}")
        browser.until("document.querySelectorAll('.row').length === 2 && document.body.innerText.includes('the ring is cut')")
        browser.open(f"{base}/trace/{deep.trace_id}")
        browser.until("document.querySelectorAll('.row').length > 10")
        browser.run("document.querySelector('.rows').focus()")
        browser.press("End")
        browser.until("document.querySelector('.row.chosen')?.getAttribute('aria-label')?.startsWith('orders: level 1499')")
        big(browser, f"{base}/trace/{wide.trace_id}")


def big(browser, url):
    began = time.time()
    browser.open(url)
    browser.until("document.querySelectorAll('.row').length > 10")
    print(f"5,000 spans shown after {time.time() - began:.2f} s")
    check(browser.run("document.querySelectorAll('.row').length") < 120)
    took = browser.run("""(async () => { const rows = document.querySelector('.rows'); const began = performance.now();
        for (let i = 0; i < 60; i++) { rows.scrollTop = i * 2000; await new Promise(requestAnimationFrame); }
        return (performance.now() - began) / 60; })()""")
    print(f"one step of scrolling: {took:.1f} ms")
    browser.run("document.querySelector('.rows').scrollTop = 1e9")
    browser.until("[...document.querySelectorAll('.row')].some((row) => row.style.transform === 'translateY(129974px)')")
    browser.run("document.querySelector('.find input').value = 'item.number=4711'; document.querySelector('.find input').dispatchEvent(new Event('input', {bubbles: true}))")
    browser.until("document.querySelector('.find output').innerText === '1 span'")
    browser.press("n")
    browser.until("document.querySelector('.row.chosen:not(.dim)')")


PROPERTIES = """(async () => {
  const { treeOf, rowsOf } = await import(document.querySelector('script[type=module]').src.replace('app.js', 'tree.js'));
  let seed = 7; const chance = () => (seed = Math.imul(seed, 1103515245) + 12345 >>> 0) / 4294967296;
  for (let round = 0; round < 400; round++) {
    const spans = []; const count = 1 + Math.floor(chance() * 40);
    for (let i = 0; i < count; i++) {
      const parent = i ? spans[Math.floor(chance() * i)] : null;
      const start = 1700000000000000000n + BigInt(Math.floor(chance() * 1000)); const took = Math.floor(chance() * 1000);
      spans.push({ span_id: 's' + i, parent_id: parent ? (chance() < 0.05 ? 'gone' : parent.span_id) : '', start_ns: `${start}`, duration_ns: `${took}`, status: chance() < 0.2 ? 'error' : 'unset',
        kind: chance() < 0.1 ? 'consumer' : 'internal', service: 'x', name: 'y', attributes: [], events: [], links: [] });
    }
    const tree = treeOf({ start_ns: '1700000000000000000', duration_ns: '2000', spans });
    const root = tree.byId.get('s0');
    const inRoot = (node) => { for (let up = node; up; up = up.parent) if (up === root) return true; return false; };
    const segments = tree.nodes.filter(inRoot).flatMap((node) => node.critical.map(([from, to]) => ({ node, from, to }))).sort((a, b) => a.from - b.from);
    let at = root.start;
    for (const { node, from, to } of segments) {
      if (from >= to || from < at) return `round ${round}: overlap at ${from}`;
      if (from < node.start || to > node.end) return `round ${round}: outside its span`;
      if (from !== at) return `round ${round}: gap ${at} to ${from}`;
      at = to;
    }
    if (at !== root.end) return `round ${round}: ends at ${at}, not ${root.end}`;
    if (tree.ordered.length !== tree.nodes.length + tree.missing.length || rowsOf(tree, new Set()).length !== tree.ordered.length) return `round ${round}: rows`;
    if (tree.cause && (!tree.cause.isError || tree.cause.children.some((child) => child.isError))) return `round ${round}: cause`;
    if (tree.nodes.some((node) => node.selfNs < 0 || node.selfNs > node.end - node.start)) return `round ${round}: self time`;
  }
  return 'good';
})()"""

CONTRAST = """(() => {
  const style = getComputedStyle(document.documentElement); const probe = document.body.appendChild(document.createElement('i'));
  const light = (name) => { probe.style.color = style.getPropertyValue(name);
    const [r, g, b] = getComputedStyle(probe).color.match(/[0-9.]+/g).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const bad = [];
  for (const text of ['--text', '--muted', '--accent', '--bad', '--warn']) for (const back of ['--card', '--page', '--hover', ...(text === '--bad' ? ['--bad-soft'] : []), ...(text === '--warn' ? ['--warn-soft'] : [])]) {
    const [a, b] = [light(text), light(back)].sort((x, y) => y - x); const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${text} on ${back}: ${ratio.toFixed(2)}`); }
  probe.remove(); return bad; })()"""


def quality():
    """Weight, layout shift, a narrow screen, names for who cannot see, contrast in both themes, the waterfall's sums."""
    with page(traces.shop(60)) as (_, browser, base):
        browser.open(base + "/")
        browser.until("document.querySelectorAll('.map .node').length === 9")
        weight = browser.run("[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter((e) => !e.name.includes('/api/')).reduce((sum, e) => sum + e.encodedBodySize, 0)")
        print(f"the page weighs {weight} bytes")
        check(10000 < weight < 61000, weight)
        shift = browser.run("""new Promise((done) => { let sum = 0; new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; }).observe({type: 'layout-shift', buffered: true});
            setTimeout(() => done(sum), 300); })""")
        print(f"layout shift {shift:.3f}")
        check(shift < 0.1, shift)
        check(browser.run(PROPERTIES) == "good", browser.run(PROPERTIES))
        for dark in (False, True):
            browser.dark(dark)
            check(browser.run(CONTRAST) == [], (dark, browser.run(CONTRAST)))
        trace = browser.run("fetch('/api/v1/traces?error=true&limit=1').then((a) => a.json()).then((a) => a.traces[0].trace_id)")
        for path in ("/", "/map", "/traces", "/service/orders", f"/trace/{trace}"):
            browser.open(base + path)
            browser.until("document.querySelector('main a, main .row')")
            nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
            for node in nodes:
                role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value", "")
                check(node["ignored"] or role not in ("link", "button", "textbox", "searchbox", "combobox", "checkbox", "treeitem", "tree", "table", "dialog") or name.strip() or role == "table", (path, node))
            check(browser.run("document.querySelectorAll('h1').length") == 1, path)
            browser.size(390, 800)
            browser.until("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            browser.size(1440, 900)


if not shutil.which("chromium"):
    print("SKIPPED: chromium is not installed")
    sys.exit(77)
{"views": views, "live": live, "odd": odd, "quality": quality}[sys.argv[1]]()
