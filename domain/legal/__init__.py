"""The law and mailbox providers' rules: versioned, cited data in this folder, and the pure code that applies it."""
