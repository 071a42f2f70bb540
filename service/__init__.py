"""The backend of a city's carbon-inclusion scheme; ARCHITECTURE.md draws the house."""
