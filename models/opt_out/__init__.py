"""The chance that one message makes a recipient leave the channel."""
