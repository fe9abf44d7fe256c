"""Made-up people whose answers to messages are known in law and drawn by chance; no I/O."""
