"""One module for each kind of resource: its specification, and the calls that observe, make, change and remove it.

This is the only place that imports boto3.
"""
