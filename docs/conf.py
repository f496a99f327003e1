"""How the documentation is built: ``sphinx-build -W -b html docs docs/_build``."""

project = "jaxopt_study"
author = "jaxopt_study maintainers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# The tutorial is a notebook: it is linked to, and run by the tests.
suppress_warnings = ["myst.xref_missing"]
html_extra_path = ["tutorial.ipynb"]
