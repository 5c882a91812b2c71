"""Figures and tables: artefacts' tables in, one CSV, one PNG and one PDF per figure out."""
