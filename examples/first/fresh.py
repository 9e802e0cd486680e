"""fresh: a file was written within some seconds."""
import os
import time

from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise


@implementer(interface.IPromise)
class RunPromise(GenericPromise):

  def __init__(self, config):
    super().__init__(config)
    self.setPeriodicity(minute=2)

  def sense(self):
    age = time.time() - os.stat(self.getConfig("file")).st_mtime
    if age < float(self.getConfig("seconds")):
      self.logger.info("written %.0f s ago", age)
    else:
      self.logger.error("not written for %.0f s", age)
