package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/recipe/jinja"
	"github.com/vow-os/vow/svc-node/profile"
)

// request is slapos.cookbook:request and its three siblings. Serialised ones speak JSON under "_"; optional
// ones go on with empty values when the instance is not ready.
func request(serialised, optional bool) *Recipe {
	name, summary := "slapos.cookbook:request", "Requests an instance and gives its connection parameters to other sections."
	if optional {
		name, summary = "slapos.cookbook:requestoptional", "Requests an instance; what is not available yet is empty, and nothing waits for it."
	}
	if serialised {
		name += ".serialised"
		summary += " Parameters both ways are JSON under \"_\"."
	}
	r := &Recipe{
		Name: name, Summary: summary, Signature: 1,
		Options: []Option{
			{Name: "software-url", Required: true, Text: "URL of the software release."},
			{Name: "software-type", Default: "the release's default", Text: "Software type of the instance."},
			{Name: "name", Default: "the section's name", Text: "Title of the instance, unique in the tree."},
			{Name: "config-*", Text: "A parameter of the instance; with a config option, only those it lists."},
			{Name: "config", Text: "Names of the parameters, each given by config-NAME; or lines NAME = value."},
			{Name: "sla-*", Text: "A restriction on where the instance is allocated, such as sla-computer_guid."},
			{Name: "sla", Text: "Names of the restrictions, each given by sla-NAME; or lines NAME = value."},
			{Name: "return", Text: "Names of the connection parameters wanted; the part waits until all are published."},
			{Name: "state", Default: "as it is", Text: "started, stopped or destroyed."},
			{Name: "shared", Default: "false", Text: "Asks for a shared instance, served by an instance of that release and type; sla-instance_guid names it. slave is its older name."},
			{Name: "server-url, computer-id, partition-id, key-file, cert-file", Text: "Accepted: the node's own connection is used."},
		},
		Provides: []Option{
			{Name: "connection-*", Text: "One for each name in return."},
			{Name: "instance-guid", Text: "Identity of the instance."},
			{Name: "instance-state", Text: "Its requested state."},
		},
	}
	r.Provide = func(ctx context.Context, in *Init) (profile.Provided, error) {
		asked, err := readRequest(in, serialised)
		if err != nil {
			return profile.Provided{}, err
		}
		in.Report.Requested(asked.Title)
		instance, err := in.World.Request(ctx, asked)
		if errors.Is(err, ErrNotAvailable) {
			instance, err = Instance{Reason: err.Error()}, nil
		}
		if err != nil {
			return profile.Provided{}, in.Error("software-url", "cannot request %q: %w", asked.Title, err)
		}
		return answer(in, asked, instance, serialised, optional)
	}
	return r
}

// readRequest reads the options of a request.
func readRequest(in *Init, serialised bool) (Request, error) {
	asked := Request{
		Title: in.Text("name"), Release: in.Text("software-url"), Type: in.Text("software-type"),
		Return: strings.Fields(in.Text("return")), State: in.Text("state"), Shared: isTrue(in.Text("shared")) || isTrue(in.Text("slave")), Peek: in.Peek,
	}
	if asked.Title == "" {
		asked.Title = in.Name()
	}
	switch asked.State {
	case "", "started", "stopped", "destroyed":
	default:
		return asked, in.Error("state", "cannot request the state %q: started, stopped and destroyed are", asked.State)
	}
	config := prefixed(in, "config")
	asked.SLA = map[string]string{}
	for name, value := range prefixed(in, "sla") {
		if value.String() != "" {
			asked.SLA[name] = value.String()
		}
	}
	asked.Parameters = map[string]string{}
	if serialised {
		data := make(map[string]any, len(config))
		for name, value := range config {
			data[name] = value.Data()
		}
		text, err := json.Marshal(data)
		if err != nil {
			return asked, in.Error("config", "cannot write the parameters as JSON: %w", err)
		}
		asked.Parameters["_"] = string(text)
		return asked, nil
	}
	for name, value := range config {
		asked.Parameters[name] = plainText(value)
	}
	return asked, nil
}

// plainText is how data travels where only text does: as Python's str(), which is what profiles on the other side compare with.
func plainText(v profile.Value) string {
	if v.IsStructured() {
		return jinja.Literal(v.Data())
	}
	return v.String()
}

// prefixed collects "config" or "sla": names listed, lines NAME = value, or every option with the prefix.
func prefixed(in *Init, kind string) map[string]profile.Value {
	all := map[string]profile.Value{}
	list, listed := in.Get(kind)
	if listed {
		for _, line := range strings.Split(list.String(), "\n") {
			if name, value, ok := strings.Cut(line, "="); ok {
				all[strings.TrimSpace(name)] = profile.Text(strings.TrimSpace(value))
				continue
			}
			for _, name := range strings.Fields(line) {
				if value, ok := in.Get(kind + "-" + name); ok {
					all[name] = value
				}
			}
		}
		return all
	}
	for _, option := range in.Options() {
		if name, ok := strings.CutPrefix(option, kind+"-"); ok {
			all[name], _ = in.Get(option)
		}
	}
	return all
}

// answer turns the master's answer into options.
func answer(in *Init, asked Request, instance Instance, serialised, optional bool) (profile.Provided, error) {
	provided := profile.Provided{Options: map[string]profile.Value{}}
	provided.Options["name"] = profile.Text(asked.Title)
	if instance.GUID != "" {
		provided.Options["instance-guid"] = profile.Text(instance.GUID)
	}
	if instance.State != "" {
		provided.Options["instance-state"] = profile.Text(instance.State)
	}
	published := map[string]profile.Value{}
	for name, value := range instance.Connection {
		published[name] = profile.Text(value)
	}
	if text, ok := instance.Connection["_"]; ok && serialised {
		data, err := decodeObject(text)
		if err != nil {
			return provided, in.Error("return", "cannot read what %q publishes: %w", asked.Title, err)
		}
		for name, value := range data {
			published[name] = profile.Structured(value)
		}
	}
	var missing []string
	for _, name := range asked.Return {
		value, ok := published[name]
		switch {
		case ok && instance.Ready:
			provided.Options["connection-"+name] = value
		case optional:
			provided.Options["connection-"+name] = profile.Text("")
		default:
			missing = append(missing, name)
		}
	}
	if optional || asked.State == "destroyed" {
		return provided, nil
	}
	switch {
	case !instance.Ready && instance.Reason != "":
		provided.Waiting = fmt.Sprintf("instance %q is not ready: %s", asked.Title, instance.Reason)
	case !instance.Ready:
		provided.Waiting = fmt.Sprintf("instance %q is not ready", asked.Title)
	case len(missing) > 0:
		provided.Waiting = fmt.Sprintf("instance %q has not published %s yet", asked.Title, strings.Join(missing, ", "))
	}
	return provided, nil
}

// decodeObject reads a JSON object; empty text is an empty object.
func decodeObject(text string) (map[string]any, error) {
	if strings.TrimSpace(text) == "" {
		return map[string]any{}, nil
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return nil, fmt.Errorf("its \"_\" is not a JSON object: %w", err)
	}
	return data, nil
}
