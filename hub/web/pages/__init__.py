"""The staff's pages, by subject."""
