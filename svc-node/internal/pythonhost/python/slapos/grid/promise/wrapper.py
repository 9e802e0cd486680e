"""An executable of etc/promise as a promise."""
import signal
import subprocess

from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise
from zope.interface import implementer


@implementer(interface.IPromise)
class WrapPromise(GenericPromise):
    """Exit 0 passes, any other end fails; what it wrote is the message. It never bangs."""

    def sense(self):
        process = subprocess.Popen(
            [self.getPromiseFile()], cwd=self.getPartitionFolder(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda n, _: process.send_signal(n))
        output = process.communicate()[0].decode("utf-8", "replace").strip()
        (self.logger.info if process.returncode == 0 else self.logger.error)("%s", output)

    def anomaly(self):
        return self._test(result_count=3, failure_amount=3)


RunPromise = WrapPromise
