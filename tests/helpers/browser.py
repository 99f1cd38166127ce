"""Opens a page in headless Chromium, lets a script look at it and returns what that tells."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--virtual-time-budget=60000",
)
# Errors of the page itself are told as well.
LISTENING = """<script>
window.faults = [];
window.addEventListener("error", (event) => faults.push(event.message));
</script>"""
LOOKING = """<script>
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
addEventListener("load", async () => {
  let told;
  try { told = await (async () => { SCRIPT })(); } catch (error) { faults.push(String(error)); }
  const text = document.createElement("pre");
  text.id = "told";
  text.textContent = JSON.stringify({ told, faults });
  document.body.replaceChildren(text);
});
</script>"""


def look(page: Path, script: str, folder: Path) -> Any:
    """What the body of an async function returns, run when a copy of the page has loaded.

    Skips the test where there is no Chromium; fails where the page has an error.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium to open the page in: apt-get install chromium")
    text = page.read_text(encoding="utf-8")
    head = re.search(r"<head>", text).end()
    copy = folder / f"looked-at-{page.name}"
    looking = LOOKING.replace("SCRIPT", script)
    copy.write_text(text[:head] + LISTENING + text[head:] + looking, encoding="utf-8")
    done = subprocess.run(
        [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", copy.as_uri()],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    answer = json.loads(html.unescape(found[1]))
    assert answer["faults"] == [], answer
    return answer["told"]
