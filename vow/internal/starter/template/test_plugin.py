"""Test of etc/plugin/{{name}}.py. Run it: python3 test/test_{{name}}.py"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
  from slapos.grid.promise import PromiseError, PromiseLauncher
except ImportError:  # no slapos.core here: vow's own modules
  sys.path.append(subprocess.check_output(["vow", "promise", "modules"], text=True).strip())
  from slapos.grid.promise import PromiseError, PromiseLauncher

PLUGIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "etc", "plugin", "{{name}}.py")


class PromiseTest(unittest.TestCase):

  def setUp(self):
    self.partition = tempfile.mkdtemp()
    self.addCleanup(shutil.rmtree, self.partition)
    for folder in ("etc/plugin", "etc/promise", "var/run"):
      os.makedirs(os.path.join(self.partition, folder))
    shutil.copy(PLUGIN, os.path.join(self.partition, "etc/plugin"))

  def run_promise(self, check_anomaly=False):
    PromiseLauncher({
      "promise-folder": os.path.join(self.partition, "etc/plugin"),
      "legacy-promise-folder": os.path.join(self.partition, "etc/promise"),
      "partition-folder": self.partition,
      "log-folder": os.path.join(self.partition, ".slapgrid/promise/log"),
      "check-anomaly": check_anomaly,
      "force": True,
    }).run()

  def test_passes(self):
    open(os.path.join(self.partition, "var/run/{{name}}.pid"), "w").close()
    self.run_promise()

  def test_fails_and_says_why(self):
    with self.assertRaises(PromiseError) as failure:
      self.run_promise()
    self.assertIn("var/run/{{name}}.pid is missing", str(failure.exception))

  def test_one_failure_is_no_anomaly(self):
    self.run_promise(check_anomaly=True)


if __name__ == "__main__":
  unittest.main()
