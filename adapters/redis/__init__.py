"""Redis or Valkey: the stream, online features and nothing that cannot be rebuilt from PostgreSQL."""
