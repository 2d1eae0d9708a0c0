"""The JSON API, by subject."""
