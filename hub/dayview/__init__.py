"""What the pages of the school day show, as values: no HTML, no words of a language, no person's rights."""
