"""SQLAlchemy's compliance suite for dialects, as pytest collects it; not named test_*: only ``run.py`` runs it."""

from sqlalchemy.testing.suite import *  # noqa: F403
