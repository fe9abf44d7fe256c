"""What is believed of one message type's variants, for every policy over them, as one versioned state."""
