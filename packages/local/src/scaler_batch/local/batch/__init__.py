"""AWS Batch as rules: what jobs are, when they move, what is said about them.

Nothing here knows of moto, of processes, of threads or of the clock. Time is an argument, and what has to be done
about a decision comes back as a value (:mod:`.effects`).
"""
