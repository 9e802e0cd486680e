"""Small functions that promises import from here."""
import os


def bytes2str(value):
    """Text of bytes."""
    return value.decode()


def str2bytes(value):
    """Bytes of text."""
    return value.encode()


def mkdir_p(path, mode=0o700):
    """Make a directory and those above it; one that exists is fine."""
    os.makedirs(path, mode, exist_ok=True)


def chownDirectory(path, uid, gid):
    """Give a directory and all in it to a user; only root may, for others nothing happens."""
    if os.getuid() != 0:
        return
    for folder, folders, files in os.walk(path):
        for name in [folder] + [os.path.join(folder, f) for f in folders + files]:
            os.chown(name, uid, gid, follow_symlinks=False)


def string_to_boolean(text):
    """True or False of the usual words; ValueError for any other."""
    if isinstance(text, bool):
        return text
    word = str(text).strip().lower()
    if word in ("1", "true", "yes", "on", "y", "t"):
        return True
    if word in ("0", "false", "no", "off", "n", "f"):
        return False
    raise ValueError("%r is neither true nor false" % (text,))
