"""The shells: each awaits one command and returns one event. They keep nothing and know nothing of each other."""
