"""Access: who may do what at a hub, with which password, for how long."""
