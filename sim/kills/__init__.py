"""The kill campaign and the network's faults, on real processes: what is killed, stopped, cut off, thin or repeated."""
