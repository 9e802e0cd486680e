"""Reading of the collector database."""
import os
import sqlite3


class Database:
    """The file collector.db in a folder."""

    def __init__(self, directory=None, create=True, timeout=None):
        self.uri = os.path.join(directory or ".", "collector.db")
        self.timeout = timeout
        self.connection = self.cursor = None
        if not create and not os.path.exists(self.uri):
            raise OSError("cannot read %s: no such file" % self.uri)

    def connect(self):
        """Open it."""
        self.connection = sqlite3.connect(self.uri, **({"timeout": self.timeout} if self.timeout else {}))
        self.cursor = self.connection.cursor()

    def close(self):
        """Close it."""
        self.cursor.close()
        self.connection.close()

    def commit(self):
        """Keep what was changed."""
        self.connection.commit()

    def select(self, table, date=None, columns="*", where=None, order=None, limit=0, group=None):
        """Rows of a table, of one date ("2026-11-22") if given; where, order and group are SQL."""
        conditions, values = [], []
        if date is not None:
            conditions.append("date = ?")
            values.append(date)
        if where:
            conditions.append("(%s)" % where)
        query = "SELECT %s FROM %s" % (columns, table)
        if conditions:
            query += " WHERE " + " AND ".join(conditions)
        if group:
            query += " GROUP BY " + group
        if order:
            query += " ORDER BY " + order
        if limit:
            query += " LIMIT %d" % limit
        return self.cursor.execute(query, values)
