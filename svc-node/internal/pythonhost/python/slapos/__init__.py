"""The modules that Python promises import, as vow offers them where a software release does not bring its own.

`slapos` is shared: what else is found under that name on sys.path belongs to it too, and comes first.
"""
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
__path__ = __path__[1:] + __path__[:1]  # what others have of it comes first
