"""What the tests of GenericPromise and of PromiseLauncher share: a partition in a temporary folder."""
import datetime
import os
import queue
import shutil
import tempfile
import unittest

from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise, PROMISE_LOG_FOLDER_NAME
from zope.interface import implementer

HEAD = """from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise, TestResult, AnomalyResult
import os, time

@implementer(interface.IPromise)
class RunPromise(GenericPromise):
"""


@implementer(interface.IPromise)
class Plain(GenericPromise):
    def sense(self):
        self.logger.info("success")


class Case(unittest.TestCase):
    def setUp(self):
        self.partition = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.partition)
        self.logs = os.path.join(self.partition, PROMISE_LOG_FOLDER_NAME)
        os.makedirs(self.logs)
        self.plugins = os.path.join(self.partition, "etc", "plugin")
        os.makedirs(self.plugins)
        self.executables = os.path.join(self.partition, "etc", "promise")
        os.makedirs(self.executables)
        self.queue = queue.Queue()

    def config(self, **more):
        config = {
            "log-folder": self.logs, "partition-folder": self.partition, "debug": False, "name": "my_promise.py",
            "path": os.path.join(self.plugins, "my_promise.py"), "queue": self.queue, "master-url": "https://master", "partition-cert": "cert",
            "partition-key": "key", "partition-id": "slappart0", "computer-id": "COMP-1", "promise-timeout": 20,
        }
        config.update({k.replace("_", "-"): v for k, v in more.items()})
        return config

    def promise(self, kind=Plain, **more):
        return kind(self.config(**more))

    def run_promise(self, kind=Plain, check_anomaly=False, can_bang=True, promise=None, **more):
        (promise or self.promise(kind, **more)).run(check_anomaly=check_anomaly, can_bang=can_bang)
        return self.queue.get(False)

    def write_log(self, lines, name="my_promise.log"):
        with open(os.path.join(self.logs, name), "w") as f:
            f.write("\n".join(lines) + "\n")

    def history(self, levels, minutes=0):
        """A log of one group a level, oldest first, the newest now, minutes apart."""
        now, lines = datetime.datetime.now(), []
        for i, level in enumerate(levels):
            date = now - datetime.timedelta(minutes=minutes * (len(levels) - 1 - i))
            lines.append("%s - %s - %d-%d - %s%d" % (
                date.strftime("%Y-%m-%d %H:%M:%S"), {"E": "ERROR", "I": "INFO", "W": "WARNING", "C": "CRITICAL"}[level], 1000 + i, 500, level, i))
        self.write_log(lines)
