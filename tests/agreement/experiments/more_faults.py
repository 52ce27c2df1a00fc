"""Faults that the harness has no word for. Each is noted in the history like its own."""

import contextlib
import os
import signal


@contextlib.contextmanager
def client_paused(k, r):
    """The clients' process stands still: producers, consumers and the observer."""
    k._note("pause", "client")
    os.kill(r.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(r.process.pid, signal.SIGCONT)
        k._note("resume", "client")


def coordinator(k, topic, key):
    """The broker that leads the partition of an internal topic to which a group or transactional id hashes."""
    number = 0
    for character in key:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    partitions = len(k.describe(topic))
    return k.leader(topic, (number & 0x7FFFFFFF) % partitions)
