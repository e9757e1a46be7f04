"""The messages' home in a SQL database; the only package that knows SQLModel, SQLAlchemy and Alembic."""
