"""slap(): registerComputerPartition(...).bang(message)."""
import ssl
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 60  # seconds, of a call


class ConnectionError(Exception):
    """The master does not answer."""


class ServerError(Exception):
    """The master could not do it."""


class NotFoundError(Exception):
    """The master knows no such thing."""


class ResourceNotReady(Exception):
    """What was asked for is not ready yet."""


class ComputerPartition:
    """A partition, by computer and name."""

    def __init__(self, computer_id=None, partition_id=None, connection=None):
        self._computer_id, self._partition_id, self._connection = computer_id, partition_id, connection

    def getId(self):
        """The partition's name."""
        return self._partition_id

    def bang(self, message):
        """Make every partition of the instance tree run again."""
        self._connection("softwareInstanceBang", {
            "computer_id": self._computer_id, "computer_partition_id": self._partition_id, "message": message,
        })


class slap:
    """The way to one master."""

    def initializeConnection(self, slapgrid_uri, key_file=None, cert_file=None, timeout=TIMEOUT, **_):
        """Say where the master is, and who calls. ValueError without an address."""
        if not slapgrid_uri:
            raise ValueError("the address of the master is not set")
        self._url, self._key, self._cert, self._timeout = slapgrid_uri, key_file, cert_file, timeout

    def registerComputerPartition(self, computer_guid, partition_id):
        """A partition; nothing is asked yet."""
        return ComputerPartition(computer_guid, partition_id, self._post)

    def _post(self, path, fields):
        context = None
        if self._url.startswith("https:"):
            # The master's certificate is not verified: SlapOS's clients never did, so masters have self-signed ones.
            context = ssl._create_unverified_context()
            if self._cert and self._key:
                context.load_cert_chain(self._cert, self._key)
        url = self._url.rstrip("/") + "/" + path
        try:
            with urllib.request.urlopen(url, urllib.parse.urlencode(fields).encode(), self._timeout, context=context) as r:
                return r.read()
        except urllib.error.HTTPError as e:
            kind = {404: NotFoundError, 408: ResourceNotReady}.get(e.code, ServerError)
            raise kind("%s: %s" % (url, e)) from e
        except OSError as e:
            raise ConnectionError("cannot reach %s: %s" % (url, e)) from e
