"""How files are found and read: drops, the ledger that knows them, and the key index."""
