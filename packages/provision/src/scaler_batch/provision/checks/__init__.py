"""What ``doctor`` looks at: one module for each thing.

Each has a part that looks, through the clients it is given, and a pure part that judges what was seen.
"""
