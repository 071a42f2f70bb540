"""The database, one numbered step after another; never edited once landed."""
