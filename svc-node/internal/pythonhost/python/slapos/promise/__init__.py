"""A namespace that packages share."""
__path__ = __import__("pkgutil").extend_path(__path__, __name__)
__path__ = __path__[1:] + __path__[:1]  # what others have of it comes first
