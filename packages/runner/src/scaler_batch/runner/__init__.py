"""What runs inside the container: load the calls, run them, publish what came of them."""

__version__ = "0.1.0"

__all__: list[str] = []
