"""The clock campaign: real gateways and a real hub whose clocks are wrong, stepped, drifting or never set."""
