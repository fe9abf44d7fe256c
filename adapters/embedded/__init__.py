"""Real PostgreSQL and Valkey from wheels, on loopback, for machines that bring none of their own."""
