"""The reference page as a browser shows it, and the document as the page needs it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_S = 60


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Where the application is served for as long as a test lasts."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def shown(url: str, profile: Path) -> str:
    """Return the page as a browser has made it; its console is part of it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no chromium is installed here to show the page")
    # No sandbox: it cannot be had by root in a container, and the page is our own.
    switches = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    waiting = ["--virtual-time-budget=5000", "--enable-logging=stderr", "--dump-dom"]
    command = [browser, *switches, *waiting, url]
    done = subprocess.run(command, capture_output=True, timeout=BROWSER_S, check=True)
    console = [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line]
    assert console == []
    return done.stdout.decode()


class TestThePageInABrowser:
    def test_shows_every_operation_with_callers_body_example_and_codes(
        self, address: str, spec: dict[str, Any], tmp_path: Path
    ) -> None:
        page = shown(f"{address}/docs", tmp_path)

        for path in spec["paths"]:
            assert f"<code>{path}</code>" in page
        feed = re.search(r'<details id="post-/v1/activity-batches".*?</details>', page, re.DOTALL)
        assert feed
        for words in ("partner:source", "account_ref", "curl -X POST", "feed-empty", "请求体"):
            assert words in feed[0]


class TestTheDocument:
    def test_names_no_part_that_it_does_not_hold(self, spec: dict[str, Any]) -> None:
        named = set(re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(spec)))

        assert named
        missing = [(kind, name) for kind, name in named if name not in spec["components"][kind]]
        assert missing == []

    def test_says_with_which_codes_a_status_refuses(self, spec: dict[str, Any]) -> None:
        for name, response in spec["components"]["responses"].items():
            assert response["description"] != "A problem document", name
