"""The proof: every campaign at its full size, one after the other, and what each found, kept in docs/proof."""
