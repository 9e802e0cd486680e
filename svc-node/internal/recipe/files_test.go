package recipe

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestWrapperWritesAnExecutable(t *testing.T) {
	w := newWorld(t)
	w.files["/p/c"] = file{content: "1"}
	w.must(`[a]
recipe = slapos.cookbook:wrapper
command-line = /bin/x --name 'two words' "$HOME" plain=1
wrapper-path = /p/etc/service/x
environment =
  A = 1
  B='quoted'
wait-for-files = /p/c
pidfile = /p/x.pid
`)
	got := w.files["/p/etc/service/x"]
	for _, line := range []string{
		"#!/bin/sh\n", "export A=1\n", `export B=''\''quoted'\'''` + "\n", "while ! [ -e /p/c ]; do sleep 0.2; done\n", "echo $$ > /p/x.pid\n",
		`exec /bin/x --name 'two words' '$HOME' plain=1 "$@"` + "\n",
	} {
		if !strings.Contains(got.content, line) {
			t.Errorf("no %q in\n%s", line, got.content)
		}
	}
	if got.mode != 0o700 {
		t.Errorf("mode %o", got.mode)
	}
	w.must("[a]\nrecipe = slapos.cookbook:wrapper\ncommand-line = x\nwrapper-path = /p/h\nhash-files = /p/c\n")
	if _, ok := w.files["/p/h-"+w.notes["a"]]; !ok || len(w.notes["a"]) != 32 {
		t.Errorf("no hash in the path: %v", w.files)
	}
	w.fails("[a]\nrecipe = slapos.cookbook:wrapper\nwrapper-path = /p/x\ncommand-line = a 'b\n", "instance.cfg:6: [a] command-line: cannot read the command: a quote is not closed")
	w.fails("[a]\nrecipe = slapos.cookbook:wrapper\nwrapper-path = /p/x\ncommand-line = a\nenvironment = nonsense\n", "lines are NAME=value")
	w.fails("[a]\nrecipe = slapos.cookbook:wrapper\nwrapper-path = /p/x\ncommand-line = a\nprivate-tmpfs = 1g /t\n", "not built in")
}

func TestShellWordsSurviveQuoting(t *testing.T) {
	for _, words := range [][]string{{"a"}, {"a b", ""}, {"it's", `"$x"`, "`y`", "a\\b", "new\nline"}} {
		line := ""
		for _, word := range words {
			line += quoteShell(word) + " "
		}
		got, err := splitCommand(line)
		if err != nil || strings.Join(got, "|") != strings.Join(words, "|") {
			t.Errorf("%q became %q, %v", words, got, err)
		}
	}
}

func TestMkdirectoryMakesEachOption(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:mkdirectory\netc = ${buildout:directory}/etc\nservice = ${:etc}/service\n")
	if !w.directories["/p/etc"] || !w.directories["/p/etc/service"] || len(w.directories) != 2 {
		t.Errorf("%v", w.directories)
	}
}

func TestTemplatesOfBothSyntaxes(t *testing.T) {
	w := newWorld(t)
	w.files["/r/plain.in"] = file{content: "dir ${buildout:directory} own ${:own} lit $${x:y}\n"}
	w.files["/r/jinja.in"] = file{content: "{% import 'lib' as lib %}{{ key }} {{ raw }} {{ json[1] }} {{ sec['x'] }} {{ lib.m(own) }} ${x:y}\n"}
	w.files["/r/lib.in"] = file{content: "{% macro m(v) %}<{{ v }}>{% endmacro %}"}
	for _, name := range []string{"slapos.recipe.template\nurl", "collective.recipe.template\ninput", "slapos.recipe.template\nurl = /r/plain.in\ntemplate"} {
		w.must("[a]\nrecipe = " + name + " = /r/plain.in\noutput = /p/plain\nown = mine\nmode = 600\n")
		w.wants("/p/plain", "dir /p own mine lit ${x:y}\n", 0o600)
	}
	w.must(`[a]
recipe = slapos.recipe.template:jinja2
template = /r/jinja.in
rendered = /p/jinja
own = mine
import-list = rawfile lib /r/lib.in
context =
  key key b:x
  key own :own
  raw raw two words
  json json [1, "two"]
  section sec b
[b]
x = value
`)
	w.wants("/p/jinja", "value two words two value <mine> ${x:y}\n", 0o640)
	w.must("[a]\nrecipe = slapos.recipe.template:jinja2\ninline =\n  {{ x }}\n    indented\ncontext = raw x 1\noutput = /p/inline\n")
	w.wants("/p/inline", "1\n  indented\n", 0o640)
	w.fails("[a]\nrecipe = slapos.recipe.template:jinja2\ninline = {{ x }}\noutput = /p/x\n", "instance.cfg:5: [a] inline: cannot render a")
	w.fails("[a]\nrecipe = slapos.recipe.template:jinja2\ninline = x\noutput = /p/x\ncontext = import os os\n", "cannot import the Python module")
	w.fails("[a]\nrecipe = slapos.recipe.template\nurl = /r/none\noutput = /p/x\n", "instance.cfg:5: [a] url: cannot read /r/none")
	w.fails("[a]\nrecipe = slapos.recipe.template\nurl = /r/plain.in\nmd5sum = 0\noutput = /p/x\n", "its checksum is")
	w.fails("[a]\nrecipe = slapos.recipe.template\nurl = /r/plain.in\noutput = /p/x\n", "there is no option own")
	w.fails("[a]\nrecipe = slapos.recipe.template\noutput = /p/x\n", "no template is given")
}

func TestPromises(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:promise.plugin\nmodule = slapos.promise.plugin.check_url_available\nvow-python = true\noutput = /p/etc/plugin/x.py\nconfig-url = http://x/'\nconfig-timeout = 5\neggs = slapos.toolbox\n")
	w.wants("/p/etc/plugin/x.py", "# Written for [a]; changes here are lost at the next deployment.\nfrom slapos.promise.plugin.check_url_available import RunPromise\n\nextra_config_dict = {\n  'timeout': '5',\n  'url': \"http://x/'\",\n}\n", 0o644)
	w.must("[a]\nrecipe = slapos.cookbook:promise.plugin\ncontent =\n  from slapos.promise.plugin.check_site_state import RunPromise\noutput = /p/y.py\nmode = 600\n")
	if !strings.Contains(w.files["/p/y.py"].content, "\nfrom slapos.promise.plugin.check_site_state import RunPromise\n") {
		t.Errorf("%q", w.files["/p/y.py"].content)
	}
	w.must("[a]\nrecipe = slapos.cookbook:promise.plugin\nmodule = check_site_state\noutput = /p/z.py\n")
	if !strings.Contains(w.files["/p/z.py"].content, "\nfrom slapos.promise.plugin.check_site_state import RunPromise\n") {
		t.Errorf("%q", w.files["/p/z.py"].content)
	}
	w.fails("[a]\nrecipe = slapos.cookbook:promise.plugin\noutput = /p/y.py\n", "exactly one of module, file and content is needed, 0 are given")
	w.fails("[a]\nrecipe = slapos.cookbook:promise.plugin\noutput = /p/y.py\nmodule = os;evil\n", "as the name of a module")
	w.must("[a]\nrecipe = slapos.cookbook:check_port_listening\nhostname = [::1]\nport = 80\npath = /p/etc/promise/x\n")
	if got := w.files["/p/etc/promise/x"]; !strings.Contains(got.content, "/dev/tcp/::1/80)") || got.mode != 0o700 {
		t.Errorf("%v", got)
	}
	w.fails("[a]\nrecipe = slapos.cookbook:check_port_listening\nhostname = x;rm\nport = 80\npath = /p/x\n", "cannot use \"x;rm\" as a host name")
	w.fails("[a]\nrecipe = slapos.cookbook:check_port_listening\nhostname = x\nport = x\npath = /p/x\n", "instance.cfg:6: [a] port: cannot use")
	w.must("[a]\nrecipe = slapos.cookbook:check_url_available\nurl = http://h/?a=$b\npath = /p/u\ncheck-secure = 1\n")
	if got := w.files["/p/u"].content; !strings.Contains(got, "url='http://h/?a=$b'\n") || !strings.Contains(got, "= 401") {
		t.Errorf("%s", got)
	}
	w.must("[a]\nrecipe = slapos.cookbook:check_parameter\nvalue = 1.2.3.4\nexpected-type = ipv6\npath = /p/v\n")
	if got := w.files["/p/v"].content; !strings.HasSuffix(got, "exit 127\n") {
		t.Errorf("%s", got)
	}
	w.must("[a]\nrecipe = slapos.cookbook:check_parameter\nvalue = 1.2.3.4\nexpected-type = ipv4\npath = /p/v\n")
	if got := w.files["/p/v"].content; !strings.HasSuffix(got, "exit 0\n") {
		t.Errorf("%s", got)
	}
}

func TestAModuleThatIsBuiltInIsDeclaredInsteadOfWritten(t *testing.T) {
	const want = "{\n  \"sensor\": \"check_socket_listening\",\n  \"config\": {\n    \"host\": \"::1\",\n    \"port\": \"80\"\n  }\n}\n"
	for _, names := range []string{
		"module = check_socket_listening", "module = slapos.promise.plugin.check_socket_listening\neggs = slapos.toolbox", "module = check_socket_listening\nclass = RunPromise",
		"content =\n  from slapos.promise.plugin.check_socket_listening import RunPromise",
	} {
		w := newWorld(t)
		w.must("[a]\nrecipe = slapos.cookbook:promise.plugin\n" + names + "\noutput = /p/etc/plugin/x.py\nconfig-host = ::1\nconfig-port = 80\nmode = 600\n")
		w.wants("/p/etc/plugin/x.json", want, 0o600)
		if _, ok := w.files["/p/etc/plugin/x.py"]; ok {
			t.Errorf("%s: the Python file is written too", names)
		}
	}
	for _, names := range []string{
		"module = check_socket_listening\nvow-python = true", "module = check_socket_listening\nclass = Other", "module = my.check_socket_listening", "file = /r/check_socket_listening.py",
		"content =\n  from slapos.promise.plugin.check_socket_listening import RunPromise\n  RunPromise.x = 1",
	} {
		w := newWorld(t)
		w.must("[a]\nrecipe = slapos.cookbook:promise.plugin\n" + names + "\noutput = /p/etc/plugin/x.py\n")
		if _, ok := w.files["/p/etc/plugin/x.py"]; !ok {
			t.Errorf("%s: no Python file is written", names)
		}
	}
}

func TestCommandsRunAndFailOnlyWhenAsked(t *testing.T) {
	w := newWorld(t)
	w.failing = errors.New("exit status 1")
	w.must("[a]\nrecipe = plone.recipe.command\ncommand = mkdir ${buildout:directory}/x\n")
	if strings.Join(w.commands, ";") != "mkdir /p/x" {
		t.Errorf("%v", w.commands)
	}
	w.fails("[a]\nrecipe = plone.recipe.command\ncommand = false\nstop-on-error = true\n", "instance.cfg:5: [a] command: cannot run the command: exit status 1")
}

func TestSymbolicLinks(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:symbolic.link\ntarget-directory = /p/bin\nlink-binary =\n  /r/bin/x\n  /r/bin/y\n")
	if w.links["/p/bin/x"] != "/r/bin/x" || w.links["/p/bin/y"] != "/r/bin/y" {
		t.Errorf("%v", w.links)
	}
}

// The originals make what starts as a script does executable; services of real releases rely on it.
func TestATemplateThatIsAScriptIsExecutable(t *testing.T) {
	for _, recipe := range []string{"slapos.recipe.template", "slapos.recipe.template:jinja2"} {
		for _, c := range []struct {
			more, text string
			mode       fs.FileMode
		}{{"", "#!/bin/sh\n", 0o750}, {"mode = 600\n", "#!/bin/sh\n", 0o600}, {"", "x\n", 0o640}} {
			w := newWorld(t)
			w.must("[a]\nrecipe = " + recipe + "\noutput = /p/s\n" + c.more + "inline = " + c.text)
			w.wants("/p/s", c.text, c.mode)
		}
	}
}

func TestWhatIsRenderedOnceIsTheUsers(t *testing.T) {
	w := newWorld(t)
	const part = "[a]\nrecipe = slapos.recipe.template:jinja2\noutput = /p/settings\nonce = ${:output}\ninline = "
	w.must(part + "first\n")
	w.wants("/p/settings", "first\n", 0o640)
	w.must(part + "second\n")
	w.wants("/p/settings", "first\n", 0o640)
	w.files["/p/done"] = file{}
	w.must("[a]\nrecipe = slapos.recipe.template:jinja2\noutput = /p/other\nonce = /p/done\ninline = x\n")
	if _, ok := w.files["/p/other"]; ok {
		t.Error("it was rendered though its marker exists")
	}
}

// A template's section may be the one that needs the template.
func TestATemplateSeesASectionThatRefersBackToIt(t *testing.T) {
	w := newWorld(t)
	w.must(`[a]
recipe = slapos.cookbook:wrapper
user = nobody
zone = ${b:zone}
command-line = ftpd --config ${conf:output}
wrapper-path = /p/service
[b]
recipe = slapos.cookbook:publish
zone = z
[conf]
recipe = slapos.recipe.template:jinja2
inline = {{ ftpd['user'] }} {{ ftpd['zone'] }} {{ ftpd['wrapper-path'] }}
output = /p/conf
context = section ftpd a
`)
	w.wants("/p/conf", "nobody z /p/service\n", 0o640)
}

// Templates go through whole sections, as that of the monitoring stack does: they list what the profile wrote and the recipe
// set, and nothing else.
func TestATemplateListsWhatASectionHolds(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.recipe.template:jinja2\ninline = {% for k, v in s.items() %}{{ k }}={{ v }};{% endfor %}{{ empty | length }}\noutput = /p/x\ncontext =\n  section s s\n  section empty empty\n[s]\nb = 2\na = ${:_buildout_section_name_}\n[empty]\n")
	w.wants("/p/x", "a=s;b=2;0\n", 0o640)
}
