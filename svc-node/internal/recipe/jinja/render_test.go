package jinja

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// jsonModule is the module json, as a template gets it from its options.
func jsonModule() any {
	m, _ := Module("json")
	return m
}

func TestTemplatesRenderAsJinja2Does(t *testing.T) {
	context := map[string]any{
		"name": "web", "empty": "", "count": float64(3),
		"d":    map[string]any{"a": float64(1), "b": "two"},
		"list": []any{"x", "y"}, "json_module": jsonModule(), "none": nil,
	}
	for source, want := range map[string]string{
		"hello {{ name }}\n": "hello web\n",
		"{% if name == 'web' %}yes{% else %}no{% endif %}":                                                                           "yes",
		"{% for x in list %}{{ loop.index }}{{ x }} {% endfor %}":                                                                    "1x 2y ",
		"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}":                                                                    "a=1;b=two;",
		"{{ d.get('c', 'none') }} {{ d['a'] }} {{ d.b }}":                                                                            "none 1 two",
		"{{ missing | default('x') }}":                                                                                               "x",
		"{% if missing is defined %}y{% else %}n{% endif %}":                                                                         "n",
		"{{ count * 2 }} {{ int('7') + 1 }} {{ len(list) }}":                                                                         "6 8 2",
		"{{ json_module.dumps(d) }}":                                                                                                 `{"a": 1, "b": "two"}`,
		"{{ json_module.loads('[1, 2]')[1] }}":                                                                                       "2",
		"{% macro m(a, b=2) %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}":                                                              "[12]",
		"{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}":                        "3",
		"{{ dumps(d) }} {{ dumps('plain') }}":                                                                                        "!py!{'a': 1, 'b': 'two'} plain",
		"{{ '${slap:x}' }} ${a:b}":                                                                                                   "${slap:x} ${a:b}",
		"{% do d.update({'z': 1}) %}{{ d.z }}":                                                                                       "1",
		"{{ sorted(['b', 'a']) | join(',') }}":                                                                                       "a,b",
		"{% set x = ['a', 'b',] %}{{ x | join('-') }}{{ {'k': [1,],}['k'][0] }} ,]":                                                  "a-b1 ,]",
		"{% set l = [] %}{% for x in range(3) %}{% do l.append(x) %}{% endfor %}{{ l }}":                                             "[0, 1, 2]",
		"{{ '%s-%d%%' % ('a', 3) }} {{ '%(x)05.1f|%(x)-4d|' % {'x': 2} }} {{ '%s' % name }} {{ '%r' % 'a' }}":                        "a-3% 002.0|2   | web 'a'",
		"{{ 7 % 3 }} {{ -7 % 3 }} {{ 0 * 5 }} {{ 'ab' * 2 }} {{ 2 * 3 * 0 }} {{ 2 * 1.5 }}":                                          "1 2 0 abab 0 3.0",
		"{% if 4 % 2 == 0 %}even{% endif %}{% set x = 3 * 2 %}{{ x }}{{ [1] * 2 }}":                                                  "even6[1, 1]",
		"{% set a, b = 1, 'x' %}{{ a }}{{ b }}{% set c, d = [3, 4] %}{{ c }}{{ d }}":                                                 "1x34",
		"{% for a, b, c in [[1, 2, 3], (4, 5, 6)] %}{{ a }}{{ b }}{{ c }};{% endfor %}":                                              "123;456;",
		"{% for x in [] %}{% else %}none{% endfor %}{% for x in list if x != 'x' %}{{ x }}{% endfor %}":                              "noney",
		"{% for x in list %}{% if loop.first %}{% continue %}{% endif %}{{ x }}{% if loop.last %}{% break %}{% endif %}{% endfor %}": "y",
		"{% set p = dict(d, **{'a': 2, 'c': 3}) %}{{ p }}{{ dict(d, x=1) }}{{ dict([['k', 'v']]) }}{{ d.a }}":                        "{'a': 2, 'b': 'two', 'c': 3}{'a': 1, 'b': 'two', 'x': 1}{'k': 'v'}1",
		"{{ 'a b'.split() }} {{ 'x.y.z'.rsplit('.', 1) }} {{ 'a=b=c'.split('=', 1) }} {{ 'x'.join(list) }} {{ ' a '.strip() }}":      "['a', 'b'] ['x.y', 'z'] ['a', 'b=c'] xxy a",
		"{% macro m(a) %}{{ a }}{{ kwargs }}{% endmacro %}{{ m(2 ** 3, z=1) }}":                                                      "8{'z': 1}",
		"{% raw %}{{ x }}{% endraw %}":                                                                                               "{{ x }}",
		"{%- if true %} a {% endif -%}\n":                                                                                            " a ",
		"{{ 'a,b'.split(',')[1] }} {{ name.upper() }}":                                                                               "b WEB",
		"{{ name if name else 'x' }} {{ empty or 'fallback' }} {{ name ~ 1 }}":                                                       "web fallback web1",
		"{{ list + ['z'] }} {{ not empty }} {{ none is none }}":                                                                      "['x', 'y', 'z'] True True",
		"{% for i, x in enumerate(list) %}{{ i }}{{ x }}{% endfor %}":                                                                "0x1y",
	} {
		got, err := Render(Template{Name: "t", Source: source, Context: context})
		if err != nil || got != want {
			t.Errorf("%s\n got %q, %v\nwant %q", source, got, err, want)
		}
	}
	if _, ok := context["d"].(map[string]any)["z"]; ok {
		t.Error("a template changed its caller's context")
	}
}

func TestUndefinedNamesAreErrors(t *testing.T) {
	if got, err := Render(Template{Name: "t", Source: "{{ missing }}"}); err == nil {
		t.Errorf("rendered %q from an undefined name", got)
	}
}

func TestRunawayTemplatesEndWithAnError(t *testing.T) {
	for name, source := range map[string]string{
		"loops":      "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
		"ranges":     "{{ range(1000000000) }}",
		"macros":     "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
		"mutual":     "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
		"includes":   "{% include 'self' %}",
		"doubling":   "{% set ns = namespace(x='aaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
		"brackets":   "{{ " + strings.Repeat("(", 100000) + " }}",
		"output":     "{% for a in range(9999) %}" + strings.Repeat("x", 10000) + "{% endfor %}",
		"padding":    "{{ 'x' | center(1000000000) }}",
		"files":      "{% include '/etc/passwd' %}",
		"repetition": "{{ 'x' * 10000000000 }}",
		"division":   "{{ 1 % 0 }}",
		"just":       "{{ 'x'.ljust(1000000000) }}",
		"width":      "{{ '%99999d' % 1 }}",
		"unfinished": "{% for x in",
		"powers":     "{{ 2 ** 200 }}",
		"lists":      "{% set l = [1] %}{% for i in range(60) %}{% do l.extend(l) %}{% endfor %}",
		"loops back": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"calls":      "{% macro m() %}{% call m() %}x{% endcall %}{% endmacro %}{{ m() }}",
		"formats":    "{{ '{:99999999}'.format(1) }}",
		"parents":    "{% extends 'self' %}",
		"blocks":     strings.Repeat("{% if true %}", 10000),
		"signs":      "{{ " + strings.Repeat("-", 100000) + "1 }}",
		"negations":  "{{ " + strings.Repeat("not ", 50000) + "1 }}",
		"indents":    "{{ ('a\n' * 100000) | indent(9999) }}",
		"joins":      "{% set l = ['x' * 100000] * 1000 %}{{ l | join }}",
		"sorts":      "{% for i in range(9999) %}{{ (range(9999) | list) | sort | length }}{% endfor %}",
		"keys":       "{{ {[]: 1} }}",
		"selves":     "{% set l = [] %}{% do l.append(l) %}{{ l | tojson }}",
	} {
		_, err := Render(Template{Name: "t", Source: source, Read: func(name string) (string, error) {
			if name == "self" {
				return source, nil
			}
			return "", fmt.Errorf("cannot read %s", name)
		}})
		if err == nil {
			t.Errorf("%s: rendered", name)
		} else if len(err.Error()) > 700 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
}

func TestImportsReadOnlyWhatTheCallerAllows(t *testing.T) {
	read := func(name string) (string, error) {
		if name == "lib" {
			return "{% macro hello(x) %}hello {{ x }}{% endmacro %}", nil
		}
		return "", fmt.Errorf("cannot read %s", name)
	}
	got, err := Render(Template{Name: "t", Source: "{% import 'lib' as lib %}{{ lib.hello('you') }}{% from 'lib' import hello %} {{ hello(2) }}", Read: read})
	if err != nil || got != "hello you hello 2" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Render(Template{Name: "t", Source: "{% import 'other' as o %}", Read: read}); err == nil {
		t.Error("imported a template the caller refused")
	}
}

func FuzzRender(f *testing.F) {
	if content, err := os.ReadFile("testdata/templates.txt"); err == nil {
		for _, line := range strings.Split(string(content), "\n") {
			f.Add(line)
		}
	}
	f.Add("{% for x in range(3) %}{{ x * 2 }}{% endfor %}")
	f.Add("{% macro m(a, b=1) %}{{ a % b }}{% endmacro %}{{ m('%s', [1]) }}")
	f.Add("{% set l = [] %}{% do l.append({'a': 1,}) %}{{ l | tojson }}{# c #}{% raw %}{{{% endraw %}")
	f.Add("{% set ns = namespace(x=1) %}{% if ns.x is defined and not d.get('q') %}{% set ns.x = ns.x ~ 'a' %}{% endif %}{{ ns.x }}")
	f.Fuzz(func(t *testing.T, source string) {
		text := Template{Name: "f", Source: source, Context: map[string]any{"d": map[string]any{"a": 1.0}, "l": []any{"x"}}}
		first, err := Render(text)
		second, again := Render(text)
		if first != second || (err == nil) != (again == nil) {
			t.Errorf("%q renders %q (%v), then %q (%v)", source, first, err, second, again)
		}
	})
}
