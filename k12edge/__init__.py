"""The command line: a thin top layer over the gateway, the hub and the simulated school."""

__version__ = "0.1.0"
