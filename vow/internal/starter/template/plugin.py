"""{{name}}: say in a sentence what it promises."""
import os

from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise

# What getConfig finds. A profile's promise.plugin section writes its own: config-file = …
extra_config_dict = {"file": "var/run/{{name}}.pid"}


@implementer(interface.IPromise)
class RunPromise(GenericPromise):

  def __init__(self, config):
    super().__init__(config)
    self.setPeriodicity(minute=2)

  def sense(self):
    path = os.path.join(self.getPartitionFolder(), self.getConfig("file"))
    if os.path.exists(path):
      self.logger.info("%s is there", path)
    else:
      self.logger.error("%s is missing", path)

  def anomaly(self):
    # Bang when the newest three all failed. test() is left as it is: a run has no tolerance.
    return self._anomaly(result_count=3, failure_amount=3)
