"""Maps, lanes and series as numbers for the templates, which write them as SVG; pure."""
