"""The daemon: one tick as a table of contents, its state, its journal, and how it is put together."""
