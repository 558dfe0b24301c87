"""The only importer of the kubernetes package."""
