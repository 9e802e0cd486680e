package recipe

import (
	"strings"
	"testing"
)

func TestParametersAreCheckedWithTheSchemaOfTheRelease(t *testing.T) {
	w := newWorld(t)
	w.files["/p/software_release/software.cfg.json"] = file{content: `{"serialisation": "json-in-xml", "software-type": {"web": {"request": "web-input.json"}, "web/shared": {"software-type": "web", "shared": true, "request": "shared-input.json"}}}`}
	w.files["/p/software_release/web-input.json"] = file{content: `{"type": "object", "properties": {"port": {"type": "integer", "default": 80}, "name": {"type": "string"}}, "additionalProperties": false}`}
	w.files["/p/software_release/shared-input.json"] = file{content: `{"type": "object", "properties": {"url": {"type": "string"}, "depth": {"type": "integer", "default": 3}}, "required": ["url"]}`}
	w.environment.Parameters = map[string]string{
		"_":                   `{"name": "", "port": "8080"}`,
		"slave_instance_list": `[{"slave_reference": "S1", "_": "{\"url\": \"u\"}"}, {"slave_reference": "S2", "url": "v", "depth": "x"}, {"slave_reference": "S3", "_": "nonsense"}]`,
	}
	const source = `[a]
recipe = slapos.cookbook:publish.serialised
port = ${conf:configuration.port}
all = ${conf:configuration}
name = ${conf:configuration.name}
valid = ${conf:valid-shared-instance-list}
invalid = ${conf:invalid-shared-instance-list}
[conf]
recipe = slapos.cookbook:slapconfiguration.jsonschema
<= slap-connection
configuration.name = fallback
`
	w.must(source + "unstringify = main\nset-default = all\n")
	if want := `{"all":{"name":"fallback","port":8080},"invalid":[{"errors":["depth: got string, want integer (/p/software_release/shared-input.json)"],"parameters":{"depth":"x","url":"v"},"reference":"S2"},{"errors":["cannot read the parameters as a JSON object"],"parameters":{},"reference":"S3"}],"name":"fallback","port":8080,"valid":[{"parameters":{"depth":3,"url":"u"},"reference":"S1"}]}`; w.published["_"] != want {
		t.Errorf("got %s, want %s", w.published["_"], want)
	}
	w.fails(source, "instance.cfg:11: [conf] recipe: cannot accept the parameters: port: got string, want integer (/p/software_release/web-input.json)")
	w.must(strings.NewReplacer("valid =", "#", "invalid =", "#").Replace(source) + "validate-parameters = none\n")
	w.fails(source+"set-default = some\n", "[conf] set-default: cannot use \"some\": all, main, shared and none are")
	w.fails(source+"jsonschema = /r/none.json\n", "[conf] jsonschema: cannot read /r/none.json")
	w.environment.SoftwareType = "wbe"
	w.fails(source, `cannot find the software type "wbe" in /p/software_release/software.cfg.json; it has web`)
}

func TestResourcesOfThePartitionAreOptions(t *testing.T) {
	w := newWorld(t)
	w.environment.InstanceGUID = "t1.i2"
	w.files["/p/.slapos-resource"] = file{content: `{"tun": {"ipv4_addr": "10.0.0.1"}, "address_list": [1, 2], "ipv4": "ignored"}`}
	w.must("[a]\nrecipe = slapos.cookbook:publish\nx = ${conf:tun-ipv4-addr} ${conf:address-list} ${conf:ipv4} ${conf:instance-guid}\n[conf]\nrecipe = slapos.cookbook:slapconfiguration\n")
	if want := "10.0.0.1 [1, 2] [] t1.i2"; w.published["x"] != want {
		t.Errorf("got %s, want %s", w.published["x"], want)
	}
}
