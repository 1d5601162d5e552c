"""A provider's examples: adapters for files, folders and code, and the schema that all of them must fit."""
