"""The road to parents: whom may be told, what there is to tell, and how it leaves the hub."""
