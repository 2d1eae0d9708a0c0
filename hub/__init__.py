"""The school: one ledger, the devices, and the road to the city."""
