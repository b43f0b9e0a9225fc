"""The container host: a process that runs every attempt of a job as a container of its definition's image.

It stands where the job host stands (:mod:`..jobhost`) and speaks the same messages over the same socket, so the machine
above does not know which of the two it has. It is a process of its own for the same last reason: when the server is
killed, the host sees its socket close and removes every container before it ends.

::

    Start ─► image here, or pulled ─► created ─► attached ─► started ─► output ... ─► ended ─► removed
    Stop ──► a signal to what runs; what has not been started never will be

Each attempt is a thread that follows one container from its making to its removal: there are as many as there are
slots, and each mostly waits. Who owns a container is written on it as a label (:mod:`.ownership`), so that what a host
that was killed has left behind is found and removed by the next one.
"""
