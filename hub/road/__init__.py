"""The road of a tap at the hub: from a broker's message to the ledger, and the receipt back."""
