"""Open the built site in a reader's browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import chromium, served

expect.set_options(timeout=60_000)  # milliseconds: a slow machine is waited for


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
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
