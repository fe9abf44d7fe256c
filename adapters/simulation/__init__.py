"""Made-up people at a running service: what they allow, what is decided about them, and what they do, over HTTP."""
