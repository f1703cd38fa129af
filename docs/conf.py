"""How Sphinx builds these pages: `make docs`."""

project = "RaFM-Bench"
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "RaFM-Bench"
html_copy_source = False
