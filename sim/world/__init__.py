"""The whole chain in one loop: production rooms and stores; simulated clocks, wires, readers, city; from one seed."""
