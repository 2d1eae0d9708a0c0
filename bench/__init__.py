"""The bench: measures what the project says about speed, memory and storage, beside a floor or a peer, in one run."""
