"""The hub's pages and JSON API."""
