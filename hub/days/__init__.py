"""School days: from the ledger's records to rows and marks, what people say of them, and what the city is told."""
