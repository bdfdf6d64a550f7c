"""
The documentation as a site: the same Markdown files as in the repository, and the reference of the Salt modules.

The source folder is the whole repository, so that the links between the pages hold here as they do on a forge.
"""

import re
import sys
import types
from pathlib import Path

from sphinx import addnodes

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "_utils"))

import saltext.wireguard as library

# As setup.cfg maps them: the folders that Salt's file server and `module_dirs` know are packages once installed.
for kind in library.LOADED:
    package = types.ModuleType(f"saltext.wireguard.{kind}")
    package.__path__ = [str(REPO / f"_{kind}")]
    sys.modules[package.__name__] = package

project = "saltext-wireguard"
author = "The saltext-wireguard authors"
version = release = library.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "bench/*.md", "examples/*.md", "lab/*.md"]
exclude_patterns = [".*", "build", "dist", "tests", "_*", "salt", "README.md"]  # the start page is docs/index.md

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
myst_fence_as_directive = ["mermaid"]  # which forges draw, too

autodoc_mock_imports = ["salt"]
autodoc_member_order = "bysource"
add_module_names = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"saltext-wireguard {version}"
html_additional_pages = {"index": "redirect.html"}
templates_path = ["_templates"]
html_copy_source = False
html_show_copyright = False


def add_navigation(app, docname, source):
    """Give the start page, which is a plain list of links, what Sphinx makes the navigation of."""
    if docname == root_doc:
        for heading, section in re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", source[0], re.MULTILINE):
            pages = re.findall(r"\]\(([^)#]+)\.md\)", section)
            source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {heading}", "", *pages, "```", ""])


def name_as_salt_does(app, domain, objtype, content):
    """`wireguard.apply` is what people write, not `apply_`."""
    for name in content.parent[0].findall(addnodes.desc_name):
        name.replace_self(addnodes.desc_name("", f"wireguard.{name.astext().rstrip('_')}"))


def without_unknown(app, what, name, obj, options, signature, return_annotation):
    """To Salt, functions of the runner take any argument, so that they can refuse what they do not know."""
    if signature and "**unknown" in signature:
        return signature.replace(", **unknown", "").replace("**unknown", ""), return_annotation
    return None


def setup(app):
    app.connect("autodoc-process-signature", without_unknown)
    app.connect("source-read", add_navigation)
    app.connect("object-description-transform", name_as_salt_does)
