"""Bring the database to the shape that this code expects."""

from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData

from service.db import Base, sqlalchemy_url

MIGRATIONS = Path(__file__).parent.parent / "migrations"

MODELS = (
    "service.identity.models",
    "service.identity.consents.models",
    "service.partners.models",
    "service.partners.webhooks.models",
    "service.ledger.models",
    "service.activities.models",
    "service.activities.corrections.models",
    "service.rewards.offers.models",
    "service.rewards.redemptions.models",
    "service.transparency.models",
    "service.rewards.settlement.models",
    "service.rewards.grades.models",
    "service.reports.models",
    "service.web.models",
)


def migrate(database_url: str) -> None:
    """Run the migrations that have not run yet, as the owner of the tables.

    Args:
        database_url: of a login that may become the owner (`MIGRATION_DATABASE_URL`).
    """
    command.upgrade(alembic_config(database_url), "head")


def alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration for one database; there is no alembic.ini."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("prepend_sys_path", str(MIGRATIONS.parent))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = sqlalchemy_url(database_url)
    config.attributes["target_metadata"] = metadata()
    return config


def metadata() -> MetaData:
    """Return the tables of every package."""
    for module in MODELS:
        import_module(module)
    return Base.metadata
