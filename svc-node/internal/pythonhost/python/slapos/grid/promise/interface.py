"""The interface of a promise."""
from zope.interface import Interface


class IPromise(Interface):
    """A promise: a sensor, a test and an anomaly detector.

    The class is called RunPromise and comes from slapos.grid.promise.generic.GenericPromise.
    """

    def __init__(config):
        """config: what is set for the promise, by key."""

    def sense():
        """Look, and record what is seen with self.logger."""

    def test():
        """Say, with a TestResult, whether the promise is kept; no tolerance. Asked in a run."""

    def anomaly():
        """Say, with an AnomalyResult, whether there is a problem that a run should repair; tolerant. Asked between runs."""
