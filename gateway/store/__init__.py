"""Storage in a SQL database; the only package that imports SQLModel, SQLAlchemy and Alembic."""
