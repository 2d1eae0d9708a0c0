"""The store campaign: real gateways and hubs on disks and files that fail, lie broken, or were copied."""
