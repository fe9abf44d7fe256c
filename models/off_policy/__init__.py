"""What another policy would have earned, from a log with probabilities; and when no answer may be given."""
