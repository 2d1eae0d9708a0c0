"""Reporting: the store's marks as files, each under a number, and the folder that the city fetches them from."""
