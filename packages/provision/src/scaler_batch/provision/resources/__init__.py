"""One module for each kind of resource: its specification, and the calls that observe, make, change and remove it.

Only here are calls made that change something in an account.
"""
