package app_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/schema"
)

const availableState = masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE

// shipped is a schema that wants an integer size, and may have a colour.
func shipped(sizes string) []schema.File {
	return []schema.File{
		{Path: "input.json", Content: []byte(`{"type": "object", "required": ["size"], "additionalProperties": false, "properties": {"size": ` + sizes + `, "colour": {"enum": ["red", "green"]}}}`)},
		{Path: "software.cfg.json", Content: []byte(`{"serialisation": "xml", "software-type": {"default": {"title": "Plain", "request": "input.json"}, "deep": {"request": "input.json", "serialisation": "json-in-xml"}, "odd": {"request": "none.json"}}}`)},
	}
}

// available has a computer's node say that it has the release with a schema, as a node does: the files only when they are wanted. It tells whether they were.
func (m *master) available(computer string, files []schema.File) bool {
	m.t.Helper()
	r := &masterv1.ReportSoftwareStateRequest{Computer: computer, SoftwareRelease: release, State: availableState, SchemaDigest: "none"}
	if files != nil {
		r.SchemaDigest = schema.Digest(files)
	}
	wanted := must[*masterv1.ReportSoftwareStateResponse](m)(m.software.ReportSoftwareState(m.t.Context(), r)).GetSchemaWanted()
	if wanted {
		r.Schema = &masterv1.ReleaseSchema{}
		for _, f := range files {
			r.Schema.Files = append(r.Schema.Files, &masterv1.SchemaFile{Path: f.Path, Content: f.Content})
		}
		if again := must[*masterv1.ReportSoftwareStateResponse](m)(m.software.ReportSoftwareState(m.t.Context(), r)); again.GetSchemaWanted() {
			m.t.Error("the schema is wanted again")
		}
	}
	return wanted
}

func (m *master) ask(title, kind string, parameters map[string]string) (*masterv1.RequestInstanceResponse, error) {
	return m.instances.RequestInstance(m.t.Context(), &masterv1.RequestInstanceRequest{Title: title, SoftwareRelease: release, SoftwareType: kind, Parameters: parameters})
}

func TestParametersAreCheckedBeforeAnythingIsWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 9)
		m.available("one", shipped(`{"type": "integer", "maximum": 9}`))
		for _, c := range []struct {
			kind       string
			parameters map[string]string
			want       string
		}{
			{"", map[string]string{"size": "7", "colour": "red"}, ""},
			{"", map[string]string{"size": "7", "colour": ""}, ""}, // an empty parameter is none
			{"deep", map[string]string{"_": `{"size": 7}`}, ""},
			{"internal", map[string]string{"any": "thing"}, ""}, // a type that is not described
			{"odd", map[string]string{"any": "thing"}, ""},      // a schema that cannot be used
			{"", nil, "/size (required) is required"},
			{"", map[string]string{"size": "S3CRET"}, "/size (type): got string, want integer"},
			{"", map[string]string{"size": "10"}, "/size (maximum): want at most 9"},
			{"", map[string]string{"size": "7", "colour": "S3CRET"}, "/colour (enum) is not one of red, green"},
			{"", map[string]string{"size": "7", "sise": "7"}, "/sise (additionalProperties) is not a parameter; known are colour, size"},
			{"deep", map[string]string{"_": `{"size": "7"}`}, "/size (type): got string, want integer"},
			{"deep", map[string]string{"_": `S3CRET`}, `its "_" is not a JSON object`},
		} {
			before := m.stored()
			title := "x" + c.kind + fmt.Sprint(len(c.want))
			res, err := m.ask(title, c.kind, c.parameters)
			dry, dryErr := m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{Title: "dry", SoftwareRelease: release, SoftwareType: c.kind, Parameters: c.parameters, DryRun: true})
			if c.want == "" {
				if err != nil || dryErr != nil || dry.GetRehearsal() == nil {
					t.Errorf("%s %v: %v, dry %v", c.kind, c.parameters, err, dryErr)
				}
				if problem := res.GetInstance().GetParameterProblem(); problem != "" {
					t.Errorf("%s %v: %s", c.kind, c.parameters, problem)
				}
				continue
			}
			for _, err := range []error{err, dryErr} {
				if !rpc.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "cannot request ") || strings.Contains(err.Error(), "S3CRET") {
					t.Errorf("%s %v: got %v, want %s", c.kind, c.parameters, err, c.want)
				}
			}
			if m.stored() != before {
				t.Errorf("%s %v: something was written", c.kind, c.parameters)
			}
		}
	})
}

func TestASchemaIsSentOnceAndServesEachComputer(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		m.register("two", 1)
		w := m.watch("one")
		files := shipped(`{"type": "integer"}`)
		if !m.available("one", files) || m.available("two", files) || m.available("one", files) {
			t.Error("the same schema is wanted other than once")
		}
		if d := m.listed().GetSchemaDigest(); d != schema.Digest(files) {
			t.Errorf("the computer has the schema %q", d)
		}
		if _, _, told := w.all(); !told {
			t.Error("the node does not hear that its schema is known")
		}
		got := must[*masterv1.GetReleaseSchemaResponse](m)(m.software.GetReleaseSchema(t.Context(), &masterv1.GetReleaseSchemaRequest{SoftwareRelease: release}))
		if len(got.GetTypes()) != 3 || got.GetTypes()[1].GetTitle() != "Plain" && got.GetTypes()[0].GetTitle() != "Plain" || len(got.GetSchema().GetFiles()) != 2 || got.GetDigest() != schema.Digest(files) {
			t.Errorf("it is told as %v", got)
		}
		for _, typ := range got.GetTypes() {
			if (typ.GetName() == "odd") != (typ.GetProblem() != "") {
				t.Errorf("%v", typ)
			}
		}
		_, err := m.software.GetReleaseSchema(t.Context(), &masterv1.GetReleaseSchemaRequest{SoftwareRelease: "file:///x"})
		if !rpc.IsNotFound(err) {
			t.Errorf("of a release that nobody has: %v", err)
		}
		_, err = m.software.ReportSoftwareState(t.Context(), &masterv1.ReportSoftwareStateRequest{
			Computer: "one", SoftwareRelease: release, State: availableState, SchemaDigest: strings.Repeat("a", 64),
			Schema: &masterv1.ReleaseSchema{Files: []*masterv1.SchemaFile{{Path: "software.cfg.json", Content: []byte("{}")}}},
		})
		if !rpc.IsInvalidArgument(err) {
			t.Errorf("a schema under a wrong digest: %v", err)
		}
		// Another content of the same release counts from its report on.
		m.available("one", shipped(`{"type": "string", "pattern": "^[a-z]+$"}`))
		if _, err := m.ask("x", "", map[string]string{"size": "7"}); !rpc.IsInvalidArgument(err) {
			t.Errorf("by the new schema: %v", err)
		}
		m.available("one", nil)
		if _, err := m.ask("x", "", map[string]string{"any": "thing"}); err != nil {
			t.Errorf("without a schema: %v", err)
		}
	})
}

func TestWhatWasRequestedBeforeTheSchemaWasKnownIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 2)
		wrong, right := map[string]string{"size": "big"}, map[string]string{"size": "7"}
		early := must[*masterv1.RequestInstanceResponse](m)(m.ask("early", "", wrong)).GetInstance()
		late := must[*masterv1.RequestInstanceResponse](m)(m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{
			Title: "late", SoftwareRelease: release, Parameters: wrong, Computer: "two",
		})).GetInstance()
		m.available("one", shipped(`{"type": "integer"}`))
		problem := func(id string) string {
			t.Helper()
			return must[*masterv1.GetInstanceResponse](m)(m.instances.GetInstance(t.Context(), &masterv1.GetInstanceRequest{InstanceId: id})).GetInstance().GetParameterProblem()
		}
		if got := problem(early.GetInstanceId()); got != "/size (type): got string, want integer" {
			t.Errorf("it tells %q", got)
		}
		if all := strings.Join(m.tree(early.GetTreeId()).GetConditions(), "\n"); !strings.Contains(all, "problem: early (one/slappart0): its parameters are not what its software release wants: /size (type)") {
			t.Errorf("the tree tells %q", all)
		}
		generation := m.tree(early.GetTreeId()).GetGeneration().GetNumber()
		if _, err := m.ask("early", "", wrong); err != nil {
			t.Errorf("the same again: %v", err)
		}
		if _, err := m.ask("early", "", map[string]string{"size": "bigger"}); !rpc.IsInvalidArgument(err) {
			t.Errorf("another mistake: %v", err)
		}
		if _, err := m.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{Title: "early", SoftwareRelease: release, Parameters: wrong, State: typev1.RequestedState_REQUESTED_STATE_STOPPED}); err != nil {
			t.Errorf("what is wrong can be stopped: %v", err)
		}
		if now := m.tree(early.GetTreeId()).GetGeneration().GetNumber(); now != generation+1 {
			t.Errorf("generation %d became %d", generation, now)
		}
		must[*masterv1.RequestInstanceResponse](m)(m.ask("early", "", right))
		if got := problem(early.GetInstanceId()); got != "" {
			t.Errorf("mended, it tells %q", got)
		}
		// An instance that had no place when the schema became known is told when it gets one.
		if got := problem(late.GetInstanceId()); got != "" {
			t.Errorf("without a place it tells %q", got)
		}
		m.register("two", 1)
		time.Sleep(2 * time.Second)
		if got := problem(late.GetInstanceId()); got == "" {
			t.Error("with a place it tells nothing")
		}
	})
}

// The sweep of each hour keeps what a supply names, asks for what is lost, and forgets the rest.
func TestSchemasAreKeptWithTheirReleasesAndForgottenAfterThem(t *testing.T) {
	inBubble(t, func(t *testing.T, m *master) {
		m.register("one", 1)
		m.available("one", shipped(`{"type": "integer"}`))
		fields := func() int64 {
			t.Helper()
			return m.redis.Redis().HLen(context.Background(), "{releases}schemas").Val()
		}
		if fields() != 2 {
			t.Fatalf("%d fields are kept", fields())
		}
		time.Sleep(time.Hour + time.Minute)
		if _, err := m.ask("x", "", nil); !rpc.IsInvalidArgument(err) || fields() != 2 {
			t.Errorf("an hour later: %v, %d fields", err, fields())
		}
		// Lost: the node is asked for it again.
		m.redis.Redis().Del(context.Background(), "{releases}schemas")
		time.Sleep(time.Hour + time.Minute)
		if d := m.listed().GetSchemaDigest(); d != "" {
			t.Errorf("after the loss its digest is %q", d)
		}
		if !m.available("one", shipped(`{"type": "integer"}`)) {
			t.Error("after the loss the schema is not wanted")
		}
		must[*masterv1.SupplySoftwareResponse](m)(m.software.SupplySoftware(t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: release, Computer: "one", State: destroyed}))
		m.said(destroyed, nil)
		time.Sleep(2 * time.Hour) // it waits half an hour after the report
		if fields() != 0 {
			t.Errorf("%d fields are kept of a release that no computer has", fields())
		}
	})
}
