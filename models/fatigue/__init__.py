"""How weary of messages a recipient is: dynamics that any history gives, and a detector that knows its own error."""
