"""Forwarding: the road from the ledger to the city."""
