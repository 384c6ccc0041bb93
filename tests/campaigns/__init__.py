"""Campaigns with damaged and hostile files; `README.md` in this folder says how to run them."""
