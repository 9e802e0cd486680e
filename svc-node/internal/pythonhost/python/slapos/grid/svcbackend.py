"""Asking a supervisord that a partition runs itself."""
import contextlib
import http.client
import os
import socket
import xmlrpc.client


def _getSupervisordSocketPath(instance_root, logger=None):
    """Where the supervisord of a folder listens."""
    for name in ("sv.sock", "supervisord.socket"):
        path = os.path.join(instance_root, name)
        if os.path.exists(path):
            return path
    return os.path.join(instance_root, "sv.sock")


class _Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout if isinstance(self.timeout, (int, float)) else 10)
        self.sock.connect(self.path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        connection = _Connection("localhost", timeout=10)
        connection.path = self.path
        return connection


@contextlib.contextmanager
def getSupervisorRPC(socket_path):
    """The `supervisor` name space of the supervisord that listens on a Unix socket."""
    with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(socket_path)) as server:
        yield server.supervisor
