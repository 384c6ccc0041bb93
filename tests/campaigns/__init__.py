"""Campaigns against damaged and hostile files. `README.md` here says how to run them."""
