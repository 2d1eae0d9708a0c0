"""The city's roster, pulled: what to ask next, what the answers say, what changes by them. Pure."""
