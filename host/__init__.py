"""The host: what gateway and hub ask of the machine that they run on, and tell its service manager."""
