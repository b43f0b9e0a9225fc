"""The way of a request through the server: named, counted, perhaps tampered with, and answered by moto.

::

    connection (cheroot) ─► front ─► layer ─► layer ─► … ─► moto

Each layer sees the call and may go on, answer itself, or both; see :mod:`.chain`.
"""
