"""Tuning: `prepare-dataset` gets the data and checks it, `tune` trains an adapter."""
