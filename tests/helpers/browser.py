"""Pages in a browser without a screen, and what goes wrong there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, sync_playwright


@dataclass
class Opened:
    """A page that is open.

    Attributes:
        page: the page.
        faults: what its console said, errors, and requests that left the file.
    """

    page: Page
    faults: list[str] = field(default_factory=list)

    def get(self, testid: str) -> Locator:
        """What bears a name."""
        return self.page.get_by_test_id(testid)

    def saved(self, testid: str) -> str:
        """The text of the file that a button gives."""
        with self.page.expect_download() as download:
            self.get(testid).click()
        return Path(download.value.path()).read_text("utf-8")

    def redrawn(self, testid: str, former: str, *, again: bool = False) -> str:
        """What a canvas shows once that is another picture than a former one, or it again."""
        self.page.wait_for_function(
            """([id, former, again]) => {
                const canvas = document.querySelector(`[data-testid="${id}"]`);
                return (canvas.toDataURL() === former) === again;
            }""",
            arg=[testid, former, again],
            timeout=10_000,
        )
        return self.drawn(testid)

    def drawn(self, testid: str) -> str:
        """What a canvas shows, as text that is equal where pictures are."""
        shown: str = self.get(testid).evaluate("canvas => canvas.toDataURL()")
        return shown


Opens = Callable[..., AbstractContextManager[Opened]]


@contextlib.contextmanager
def open_browser(path: str) -> Iterator[Opens]:
    """What opens a page, in a browser that is started once.

    Args:
        path: of the browser.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])

        @contextlib.contextmanager
        def opens(file: Path, **settings: Any) -> Iterator[Opened]:
            context = browser.new_context(viewport={"width": 1200, "height": 900}, **settings)
            found = Opened(context.new_page())
            own = file.as_uri()

            def asked(url: str) -> None:
                if url != own and not url.startswith(("data:", "blob:")):
                    found.faults.append(f"asks for {url}")

            found.page.on("console", lambda said: found.faults.append(said.text))
            found.page.on("pageerror", lambda error: found.faults.append(str(error)))
            found.page.on("request", lambda request: asked(request.url))
            found.page.on("dialog", lambda dialog: found.faults.append(dialog.message))
            found.page.goto(own)
            if settings.get("java_script_enabled", True):
                found.page.wait_for_selector("html[data-ready]")
            yield found
            context.close()

        yield opens
        browser.close()
