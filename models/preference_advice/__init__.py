"""What a recipient's own answers suggest they might prefer, with the evidence; only the recipient applies it."""
