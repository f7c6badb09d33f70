"""Tests of the built site in Chromium; a package, so that its modules share one that has started."""
