"""The daemon: its tick, its state, its journal, and how it is put together."""
