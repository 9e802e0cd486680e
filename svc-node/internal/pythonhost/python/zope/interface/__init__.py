"""What promises use of zope.interface: to declare that a class provides an interface, and to ask."""


class InterfaceClass(type):
    def implementedBy(cls, klass):
        """True when klass, or a class it comes from, was declared to implement this interface."""
        for base in getattr(klass, "__mro__", (klass,)):
            for declared in base.__dict__.get("__implemented_interfaces__", ()):
                if isinstance(declared, type) and issubclass(declared, cls):
                    return True
        return False

    def providedBy(cls, thing):
        """True when the class of thing implements this interface."""
        return cls.implementedBy(type(thing))


class Interface(metaclass=InterfaceClass):
    """The interface that all interfaces come from."""


class Attribute:
    """An attribute that an interface describes."""

    def __init__(self, __name__, __doc__=""):
        self.__name__, self.__doc__ = __name__, __doc__


def _declare(klass, interfaces):
    klass.__implemented_interfaces__ = tuple(interfaces) + tuple(klass.__dict__.get("__implemented_interfaces__", ()))
    return klass


def implementer(*interfaces):
    """Class decorator: the class implements the interfaces."""
    return lambda klass: _declare(klass, interfaces)


def implements(*interfaces):
    """The declaration of old, inside the body of a class: it adds to what the class implements."""
    import sys

    body = sys._getframe(1).f_locals
    body["__implemented_interfaces__"] = tuple(interfaces) + tuple(body.get("__implemented_interfaces__", ()))


def classImplements(klass, *interfaces):
    """Declare after the fact that klass implements the interfaces."""
    _declare(klass, interfaces)


def implementedBy(klass):
    """All interfaces that klass implements."""
    return [i for base in klass.__mro__ for i in base.__dict__.get("__implemented_interfaces__", ())]


def providedBy(thing):
    """All interfaces that the class of thing implements."""
    return implementedBy(type(thing))


def directlyProvides(thing, *interfaces):
    """Declare that one object provides the interfaces."""
    _declare(thing, interfaces)


provider = implementer
