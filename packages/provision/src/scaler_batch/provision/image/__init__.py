"""Building the image that jobs run in, from the Dockerfile and the locked requirements that lie beside this file.

::

    wheels ─► context (a tag follows) ─► engine: build ─► engine: push

Both files are those of ``docker/runner`` in the repository; a test there keeps them the same.
"""
