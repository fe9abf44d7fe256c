"""Hostile templates, and a process that fills them and tells what each took."""

import json
import resource
import sys
import time

from domain import content
from domain.content import CannotRender
from domain.values import Channel
from tests.builders import a_type

CANARY = "canary-8f1d2c"
"""In the environment and in a file while these run; no output may hold it."""
INJECTIONS = (
    "{{7*7}}", "{{ 7 * 7 }}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{{= 7*7 }}", "{%= 7*7 %}", "*{7*7}", "@(7*7)",
    "{{''.__class__.__mro__[1].__subclasses__()}}", "{{ ''.__class__ }}", "{{ self.__init__.__globals__ }}",
    "{{ config }}", "{{ env }}", "{{ environ.KAIROS_CANARY }}", "{{ request.application.__globals__ }}",
    "{% import os %}{{ os.environ }}", "{% include '/tmp/canary' %}", "{% render 'canary' %}",
    "{% raw %}{{7*7}}{% endraw %}",
    "{{ 'os' | import }}", "{% for x in ().__class__.__base__.__subclasses__() %}{{x}}{% endfor %}",
    "{0.__class__.__init__.__globals__}", "%(KAIROS_CANARY)s", "%s%s%s%n", "{name.__class__}", "$KAIROS_CANARY",
    "`cat /tmp/canary`", "$(printenv KAIROS_CANARY)", "<!--#exec cmd='printenv' -->", "<?php echo 7*7 ?>",
    "{{ lipsum.__globals__['os'].popen('id').read() }}", "{{ cycler.__init__.__globals__.os.environ }}",
    "{{ name.__class__.__init__ }}", "{{ kairos_locale.__class__ }}", "{{ forloop.__class__ }}",
)  # fmt: skip
LONG = "{% capture s %}" + "a" * 9_000 + "{% endcapture %}"
BOMBS = {
    "times": "{{ 'a' | times: 2000000000 }}{{ 2000000000 | times: 'a' }}",
    "replace": LONG + "{{ s | replace: 'a', s | size }}",
    "replace nothing": LONG + "{{ s | replace: '', s | size }}",
    "join": LONG + "{{ s | split: '' | join: s | size }}",
    "squares": "{% assign n = 99999999999 %}" + "{% assign n = n | times: n %}" * 28 + "{{ n }}",
    "append": "{% assign s = 'aaaa' %}" + "{% assign s = s | append: s %}" * 40 + "{{ s | size }}",
    "concat": "{% assign a = 'a,b,c' | split: ',' %}" + "{% assign a = a | concat: a %}" * 40 + "{{ a | size }}",
    "capture": "{% capture s %}aaaa{% endcapture %}" + "{% capture s %}{{ s }}{{ s }}{% endcapture %}" * 40,
    "range": "{{ (1..2000000000) | join: 'a' }}",
    "range sorted": "{{ (1..2000000000) | sort | size }}",
    "range assigned": "{% assign r = (1..2000000000) %}{{ r | reverse | first }}",
    "range of variables": "{% for i in (name..properties) %}x{% endfor %}",
    "range reversed": "{% for i in (1..200000000) reversed %}x{% endfor %}",
    "range skipped": "{% for i in (1..2000000000) limit: 1 offset: 1999999998 %}x{% endfor %}",
    "nested loops": "{% for i in (1..999) %}" * 5 + "x" + "{% endfor %}" * 5,
    "table": "{% tablerow i in (1..999) %}{% tablerow j in (1..999) %}x{% endtablerow %}{% endtablerow %}",
    "placeholders": "{{ name }}" * 1_000_000,
    "tags": "{{ name }}" * 1_900,
    "blocks": "{% if true %}" * 700 + "x" + "{% endif %}" * 700,
    "brackets": "{{ name" + "[name" * 3_000 + "]" * 3_000 + " }}",
    "parentheses": "{% if " + "(" * 3_000 + "true" + ")" * 3_000 + " %}x{% endif %}",
    "recursion": "{% include 'a' %}{% render 'a' %}",
    "open outputs": "{{" * 10_000,
    "open tags": "{%" * 10_000,
    "raw": "{% raw %}" * 2_000,
    "doc": "{%doc%}" * 2_500,
    "blanks": "{% if" + " " * 19_000 + "%}",
    "blank output": "{{" + " " * 19_000 + "}}",
    "work": LONG + "{% for i in (1..999) %}{% assign t = s | upcase | downcase %}{% endfor %}",
    "infinite": "{{ '1e999999999' | round }}",
    "digits": "{{ '1e99999999' | number }}",
}
EVIL = {
    "strip_html": ("{{ name | strip_html | size }}", "<script" * 20_000),
    "strip_html comments": ("{{ name | strip_html | size }}", "<!--" * 40_000),
    "squish": ("{{ name | strip | lstrip | rstrip | size }}", " " * 150_000 + "x"),
    "words": ("{{ name | truncatewords: 3 }}", " " * 150_000 + "x"),
    "escape": ("{{ name | escape_once | size }}", "&" * 150_000),
    "value": ("{{ name | upcase }}", "a" * 200_001),
}
"""Filters over data that make the library's own expressions take the square of the length."""
ANY = {"type": "object", "properties": {"name": {}, "properties": {}}}


LINES = ("<a ", "<!--", "<!", "<a href='", "</a ", "<script>", "<a><p>", "&#", "<![CDATA[")
"""What an e-mail may repeat without end: readers of HTML look for the end of each, over and over."""
BOMBS |= {f"html {each}": "{% for i in (1..999) %}" + each * 11 + "{% endfor %}" for each in LINES}


def rendered(body, channel=Channel.PUSH, **variables):
    """Return a body filled as a decision would, and looked at as a decision would."""
    # Longer than the model takes: as if something had gone around it.
    part = {"body": "b"}
    definition = a_type(channels=[channel], variants=[{"id": "a", "content": {channel: part}}], variables=ANY)
    templates = definition.variants[0].content[channel].model_copy(update={"body": body})
    variant = definition.variants[0].model_copy(update={"content": {channel: templates}})
    definition = definition.model_copy(update={"variants": (variant,)})
    return content.render(definition, channel=channel, variant_id="a", wanted=(), variables=variables).body


def peak_mb():
    """Return the most memory the process had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Fill every bomb and print what each took."""
    rendered("{{ name | upcase }} {% for i in (1..3) %}{{ i | number }}{% endfor %}", Channel.EMAIL, name="warm")
    told = {}
    for name, (body, data) in {**{name: (body, "x") for name, body in BOMBS.items()}, **EVIL}.items():
        before, begun = peak_mb(), time.perf_counter()
        try:
            channel = Channel.EMAIL if name.startswith("html") else Channel.PUSH
            outcome = f"filled {len(rendered(body, channel, name=data))}"
        except CannotRender as refused:
            outcome = str(refused)
        taken = time.perf_counter() - begun
        told[name] = {"outcome": outcome, "ms": round(1000 * taken, 1), "grown_mb": round(peak_mb() - before, 1)}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
