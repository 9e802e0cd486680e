"""A client of a master, as far as a promise needs one: to bang."""
from .slap import ComputerPartition, ConnectionError, NotFoundError, ResourceNotReady, ServerError, slap  # noqa: F401
