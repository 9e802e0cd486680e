"""Renders templates.txt, one template a line, with Python's own Jinja2, and writes what comes out to reference.json.

By hand, where Debian's python3-jinja2 is installed: /usr/bin/python3 reference.py. "⏎" in a template is a new line.
"""
import builtins
import json
import pathlib

import jinja2

here = pathlib.Path(__file__).parent
library = {
    "lib": "{% macro hello(x) %}hi {{ x }}{% endmacro %}{% set const = 'C' %}",
    "ctxlib": "{% macro show() %}{{ name }}/{{ l }}{% endmacro %}",
    "inc": "inc {{ name }}",
    "base": "<{% block a %}base {{ name }}{% endblock %}|{% block b %}b{% endblock %}>",
}
environment = jinja2.Environment(
    undefined=jinja2.StrictUndefined, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
    keep_trailing_newline=True, loader=jinja2.DictLoader(library))
for name in ("str len int float list sorted enumerate zip repr bool set min max sum abs any all tuple isinstance reversed map dict".split()):
    environment.globals[name] = getattr(builtins, name)
environment.globals["dumps"] = lambda o: "!py!%r" % (o,)
cases = []
for line in (here / "templates.txt").read_text().splitlines():
    source = line.replace("⏎", "\n")
    context = json.loads((here / "context.json").read_text())
    context["json_module"] = json
    try:
        cases.append({"template": source, "text": environment.from_string(source).render(**context)})
    except Exception as e:
        cases.append({"template": source, "error": "%s: %s" % (type(e).__name__, e)})
(here / "reference.json").write_text(json.dumps({"jinja2": jinja2.__version__, "library": library, "cases": cases}, indent=1, ensure_ascii=False) + "\n")
