"""Whether outcomes still follow what was predicted of them, told as soon as possible."""
