"""A wire between parts of the chain that loses, delays, starves, cuts and goes silent, packet by packet."""
