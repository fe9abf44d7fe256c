"""What a channel is worth to reach a recipient: who answers on it, and what would be lost with it."""
