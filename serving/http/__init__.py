"""The HTTP API: one ASGI application for every route under /v1, its health, metrics and documentation."""
