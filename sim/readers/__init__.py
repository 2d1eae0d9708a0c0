"""The campaign of unplugged readers and killed gateways: every tap that a reader read is one record."""
