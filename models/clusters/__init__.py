"""Groups of people who behave alike, published only where the data would give them again."""
