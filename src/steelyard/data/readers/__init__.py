"""One file a kind of source; each returns named cells and says in a sentence what it cannot read."""
