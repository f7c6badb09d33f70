"""Open the built site in a reader's browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium, served

expect.set_options(timeout=60_000)  # milliseconds: a slow machine is waited for


@pytest.fixture(scope="package")
def started() -> Iterator[Browser]:
    """Start Chromium once for all modules of this folder; the driver's event loop would disturb other folders."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def browser(started) -> Iterator[Browser]:
    """Lend the browser to a module, and close afterwards what it left open."""
    yield started
    for context in started.contexts:
        context.close()


@pytest.fixture(scope="package")
def address(site) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture
def page(browser) -> Iterator[Page]:
    """Open a new reader's page; an error in its scripts fails the test."""
    errors: list[str] = []
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    assert errors == []
