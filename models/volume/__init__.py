"""How many messages a week: what each more is worth to whom, and the price at which the volume is spent."""
