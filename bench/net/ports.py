# SPDX-License-Identifier: MIT
"""ports - a port for a server to listen at"""

import socket


def reserve_port():
    """A socket with a port that nobody else is given while it is open; a
    server that sets SO_REUSEADDR can listen there, for this one doesn't."""
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("", 0))
    return probe, probe.getsockname()[1]
