"""verifyClass, as far as promises use it."""


def verifyClass(iface, candidate, tentative=False):
    """True when candidate has all methods of the interface; AttributeError names the first that it lacks."""
    for name, value in vars(iface).items():
        if callable(value) and not name.startswith("_") and not callable(getattr(candidate, name, None)):
            raise AttributeError("%r does not implement %s.%s" % (candidate, iface.__name__, name))
    return True


verifyObject = verifyClass
