"""A school in a box: simulated twins, device emulators, the reference city service. Production never imports it."""
