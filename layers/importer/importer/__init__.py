"""Importer room: from a file that nobody trusts to clean records, with every row that did not fit named."""
