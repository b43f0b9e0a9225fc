"""The job host: one small process, without threads, that is the parent of every job's process.

It is a process of its own for three reasons. Jobs can be forked from it after it has imported the runner once, which
makes a small job many times cheaper than a new interpreter; forking is only safe where there are no threads, and the
server has many. It can run under another interpreter (``job_python``) that has what the runner image has and nothing
of this package. And it outlives the server by the moment that it takes to end every job when the server is killed.

So the modules of this folder import the standard library and each other, by relative imports only: under another
interpreter they are loaded by path (:mod:`.start`), not as a part of ``scaler_batch``.
"""
