package recipe

import (
	"errors"
	"strings"
	"testing"
)

const asking = `[a]
recipe = slapos.cookbook:publish
url = ${r:connection-url}
guid = ${r:instance-guid}
-hidden = x
[r]
recipe = slapos.cookbook:request
software-url = ${slap-connection:software-release-url}
software-type = web
name = The web
config-x = 1
config-y = two
sla-computer_guid = ${slap-connection:computer-id}
return = url
state = started
`

func TestRequestsAskAndReturn(t *testing.T) {
	w := newWorld(t)
	if err := w.run(asking); !errors.Is(err, ErrNotAvailable) || !strings.Contains(err.Error(), `instance "The web" is not ready: not allocated`) {
		t.Fatalf("got %v", err)
	}
	r := w.requests[0]
	if r.Title != "The web" || r.Type != "web" || r.Release != "http://r/" || r.Parameters["x"] != "1" || r.Parameters["y"] != "two" || r.SLA["computer_guid"] != "COMP-1" || r.State != "started" {
		t.Errorf("requested %+v", r)
	}
	w.connections["The web"] = map[string]string{"other": "1"}
	if err := w.run(asking); !errors.Is(err, ErrNotAvailable) || !strings.Contains(err.Error(), "has not published url yet") {
		t.Errorf("got %v", err)
	}
	w.connections["The web"]["url"] = "http://u/"
	w.must(asking)
	if w.published["url"] != "http://u/" || w.published["guid"] != "g" || len(w.published) != 2 {
		t.Errorf("published %v", w.published)
	}
	w.fails(strings.Replace(asking, "state = started", "state = paused", 1), "[r] state: cannot request the state")
}

func TestDataTravelsAsPythonPrintsIt(t *testing.T) {
	w := newWorld(t)
	w.connections["a"] = map[string]string{}
	w.must("[a]\nrecipe = slapos.cookbook:request\nsoftware-url = u\nconfig-yes = !py!True\nconfig-list = !py![1, 'x']\nconfig-number = !py!7\nconfig-text = true\n")
	if p := w.requests[0].Parameters; p["yes"] != "True" || p["list"] != "[1, 'x']" || p["number"] != "7" || p["text"] != "true" {
		t.Errorf("requested %v", p)
	}
}

func TestOptionalRequestsDoNotWait(t *testing.T) {
	w := newWorld(t)
	w.must(strings.Replace(strings.Replace(asking, "slapos.cookbook:request\n", "slapos.cookbook:requestoptional\n", 1), "guid =", "#", 1))
	if url, ok := w.published["url"]; !ok || url != "" {
		t.Errorf("published %v", w.published)
	}
}

func TestSerialisedRecipesSpeakJSON(t *testing.T) {
	w := newWorld(t)
	w.environment.Parameters = map[string]string{"_": `{"list": [1, 2], "empty": "", "name": "given"}`}
	w.connections["child"] = map[string]string{"_": `{"url": {"deep": [true]}}`}
	w.must(`[a]
recipe = slapos.cookbook:publish.serialised
-extends = base
url = ${child:connection-url}
[base]
x = 1
-y = 2
[child]
recipe = slapos.cookbook:request.serialised
software-url = u
config-list = ${conf:configuration.list}
config-name = ${conf:configuration.name}
config-empty = ${conf:configuration.empty}
return = url
[conf]
recipe = slapos.cookbook:slapconfiguration.serialised
configuration.empty = default
configuration.name = default
`)
	if want := `{"empty":"default","list":[1,2],"name":"given"}`; w.requests[0].Parameters["_"] != want {
		t.Errorf("requested %v, want %s", w.requests[0].Parameters, want)
	}
	if want := `{"url":{"deep":[true]},"x":"1"}`; w.published["_"] != want {
		t.Errorf("published %v, want %s", w.published, want)
	}
	w.environment.Parameters["_"] = "nonsense"
	w.fails("[a]\nrecipe = slapos.cookbook:slapconfiguration.serialised\n", "cannot read the instance's parameters")
}

func TestPublishEarlyKeepsWhatIsPublished(t *testing.T) {
	source := `[a]
recipe = slapos.cookbook:publish.serialised
-extends = early
[early]
recipe = slapos.cookbook:publish-early
-init =
  secret gen:passwd
  port gen-port:value
port = 7
[gen]
recipe = slapos.cookbook:generate.password
storage-path =
[gen-port]
recipe = slapos.cookbook:random.integer
minimum = 1
maximum = 9
`
	w := newWorld(t)
	w.must(source)
	first := w.published["_"]
	if !strings.Contains(first, `"port":"7"`) || !strings.Contains(first, `"secret":"`) {
		t.Fatalf("published %s", first)
	}
	w.must(source)
	if w.published["_"] != first {
		t.Errorf("published %s, then %s", first, w.published["_"])
	}
}

func TestWhatIsDrawnStays(t *testing.T) {
	w := newWorld(t)
	source := `[a]
recipe = slapos.cookbook:publish
password = ${password:passwd}
port = ${port:port}
integer = ${integer:value}
time = ${time:time}
mac = ${mac:mac-address}
[password]
recipe = slapos.cookbook:generate.password
storage-path = /p/.password
bytes = 20
[port]
recipe = slapos.cookbook:free_port
[integer]
recipe = slapos.cookbook:random.integer
minimum = 5
maximum = 500000
[time]
recipe = slapos.cookbook:random.time
[mac]
recipe = slapos.cookbook:random.mac
storage-path = /p/mac
`
	w.must(source)
	first := w.published
	if len(first["password"]) != 20 || first["port"] != "20001" || first["mac"] != w.files["/p/mac"].content || w.files["/p/.password"] != (file{first["password"], 0o600}) {
		t.Errorf("drew %v, wrote %v", first, w.files)
	}
	w.must(source)
	for name, value := range w.published {
		if first[name] != value {
			t.Errorf("%s was %s and became %s", name, first[name], value)
		}
	}
	w.fails("[a]\nrecipe = slapos.cookbook:generate.password\nbytes = 0\n", "cannot make a password of \"0\" characters")
}

func TestSoftwareTypesChooseTheProfile(t *testing.T) {
	source := "[a]\nrecipe = slapos.cookbook:switch-softwaretype\ndefault = /r/default.cfg\nweb = inner:path\n[inner]\npath = /r/web.cfg\n"
	for kind, want := range map[string]string{"web": "profile /r/web.cfg", "": "profile /r/default.cfg", "RootSoftwareInstance": "profile /r/default.cfg"} {
		w := newWorld(t)
		w.environment.SoftwareType = kind
		w.must(source)
		if strings.Join(w.commands, ";") != want {
			t.Errorf("type %q: %v", kind, w.commands)
		}
	}
	w := newWorld(t)
	w.environment.SoftwareType = "wbe"
	w.fails(source, `cannot find the software type wbe; this release has default, web; did you mean "web"?`)
}

func TestEveryRecipeIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Recipes().All() {
		if r.Summary == "" || r.Signature < 1 || r.Install == nil && r.Provide == nil {
			t.Errorf("%s is not complete", r.Name)
		}
		for _, name := range append([]string{r.Name}, r.Aliases...) {
			if seen[name] {
				t.Errorf("two recipes are called %s", name)
			}
			seen[name] = true
		}
		for _, o := range append(append([]Option(nil), r.Options...), r.Provides...) {
			if o.Name == "" || !strings.HasSuffix(o.Text, ".") || o.Required && strings.ContainsAny(o.Name, ",*") {
				t.Errorf("%s: option %q is not described: %q", r.Name, o.Name, o.Text)
			}
		}
	}
}

func TestAProfileFindsItsSlavesAndPublishesForThem(t *testing.T) {
	w := newWorld(t)
	w.environment.Parameters = map[string]string{"slave_instance_list": `[{"slave_reference": "t1.i2", "slave_title": "www", "slap_software_type": "default", "timestamp": 7, "backend": "http://b"}]`, "own": "x"}
	conf := "\n[conf]\nrecipe = slapos.cookbook:slapconfiguration\n"
	w.must("[a]\nrecipe = slapos.cookbook:publish\nlist = ${conf:slave-instance-list}" + conf)
	w.must("[a]\nrecipe = slapos.cookbook:publish\n-slave-reference = t1.i2\nurl = http://www\n")
	w.must("[a]\nrecipe = slapos.cookbook:publish.serialised\n-slave-reference = t1.i3\nurl = http://deep\n")
	if got := w.published["list"]; len(w.published) != 1 || !strings.Contains(got, "t1.i2") || !strings.Contains(got, "http://b") {
		t.Errorf("published %v", w.published)
	}
	if len(w.shared) != 2 || w.shared["t1.i2"]["url"] != "http://www" || w.shared["t1.i3"]["_"] != `{"url":"http://deep"}` {
		t.Errorf("published for shared instances %v", w.shared)
	}
	w = newWorld(t)
	w.connections["a"] = map[string]string{"url": "u"}
	w.must("[a]\nrecipe = slapos.cookbook:request\nsoftware-url = u\nslave = true\nsla-instance_guid = t1.i9\nreturn = url\n")
	if r := w.requests[0]; !r.Shared || r.SLA["instance_guid"] != "t1.i9" {
		t.Errorf("requested %+v", r)
	}
}
