package recipe

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

//go:embed build.py
var buildProgram string

// Options of a part of slapos.recipe.build that keep what its scripts need: the sections they name, and what init left
// in self.
const (
	sectionsOption = "_sections_"
	stateOption    = "_state_"
)

// build is slapos.recipe.build: Python in the profile.
func build() *Recipe {
	return &Recipe{
		Name:    "slapos.recipe.build",
		Summary: "Runs Python that the profile holds, as the partition's user. Scripts see self (options, buildout, name, logger, download, extract, copyTree), options, location and guessworkdir.",
		Options: []Option{
			{Name: "init", Text: "Run on each run when the profile is resolved; what it sets in options, other sections may refer to."},
			{Name: "install", Text: "Run when the part is installed or changed; what it makes at location becomes the part's files. Default is update, without location."},
			{Name: "update", Text: "Run on each run in which the part did not change."},
			{Name: "location", Default: "${buildout:parts-directory}/SECTION", Text: "Where install makes a file or a directory; set to nothing by init, install makes nothing there."},
			{Name: "slapos_promise, shared", Text: "Accepted: these are for software releases."},
		},
		Provides: []Option{
			{Name: "*", Text: "What init sets: text, or data that JSON can hold."},
			{Name: "location", Text: "Where install makes something, when there is an install."},
		},
		Signature: 1, Executes: true,
		Provide: initialisePython,
		Install: func(ctx context.Context, w *Work) error {
			if hasScript(w.Part.Options, "install") {
				return installPython(ctx, w, "install", true)
			}
			return installPython(ctx, w, "update", false)
		},
		Update: func(ctx context.Context, w *Work) error { return installPython(ctx, w, "update", false) },
	}
}

// pythonQuestion is what build.py is asked.
type pythonQuestion struct {
	Name     string                    `json:"name"`
	Phase    string                    `json:"phase"`
	Script   string                    `json:"script"`
	Capture  bool                      `json:"capture"`
	Options  map[string]any            `json:"options"`
	Sections map[string]map[string]any `json:"sections"`
	State    string                    `json:"state"`
}

// pythonAnswer is what it says.
type pythonAnswer struct {
	Error   string         `json:"error"`
	Options map[string]any `json:"options"`
	State   string         `json:"state"`
	Files   []struct {
		Path      string `json:"path"`
		Mode      uint32 `json:"mode"`
		Link      string `json:"link"`
		Directory bool   `json:"directory"`
		Content   []byte `json:"content"`
	} `json:"files"`
}

func hasScript(options map[string]profile.Value, name string) bool {
	return strings.TrimSpace(options[name].String()) != ""
}

// sectionName finds the sections that a script reads: buildout['NAME'] and buildout.get('NAME').
var sectionName = regexp.MustCompile(`\bbuildout\s*(?:\[|\.get\()\s*['"]([^'"]+)['"]`)

func initialisePython(ctx context.Context, in *Init) (profile.Provided, error) {
	provided := profile.Provided{Options: map[string]profile.Value{}, Volatile: []string{stateOption}}
	question := pythonQuestion{Name: in.Name(), Phase: "init", Options: map[string]any{}, Sections: map[string]map[string]any{}}
	if in.Text("install") != "" && in.Text("location") == "" {
		parts, err := in.Lookup("buildout", "parts-directory", "install")
		if err != nil {
			return provided, err
		}
		provided.Options["location"] = profile.Text(path.Join(parts.String(), in.Name()))
	}
	for _, option := range []string{"init", "install", "update"} {
		for _, found := range sectionName.FindAllStringSubmatch(in.Text(option), -1) {
			name := found[1]
			if name == in.Name() || question.Sections[name] != nil || !in.HasSection(name) {
				continue
			}
			values, waiting, err := in.values(name, option)
			if err != nil {
				return provided, err
			}
			if waiting != nil {
				return provided, waiting
			}
			question.Sections[name] = values
		}
	}
	if in.Text("install") != "" || in.Text("update") != "" {
		sections := make(map[string]any, len(question.Sections))
		for name, values := range question.Sections {
			sections[name] = values
		}
		provided.Options[sectionsOption] = profile.Structured(sections)
	}
	if in.Text("init") == "" {
		return provided, nil
	}
	for _, name := range in.Options() {
		if v, ok := in.Get(name); ok {
			question.Options[name] = v.Data()
		}
	}
	for name, v := range provided.Options {
		if name != sectionsOption {
			question.Options[name] = v.Data()
		}
	}
	init, _ := in.Get("init")
	question.Script = init.String()
	answer, err := runPython(ctx, in.Python, question)
	if errors.Is(err, ErrNotAvailable) {
		return provided, &profile.Unavailable{Section: in.Name(), Reason: err.Error()}
	}
	if err != nil {
		return provided, in.Error("init", "cannot run the Python: %w", err)
	}
	for name, value := range answer.Options {
		provided.Options[name] = profile.Structured(value)
	}
	provided.Options[stateOption] = profile.Text(answer.State)
	return provided, nil
}

// installPython runs install or update. In a plan nothing is run, and nothing is known of what it would make.
func installPython(ctx context.Context, w *Work, option string, capture bool) error {
	if !hasScript(w.Part.Options, option) {
		return nil
	}
	question := pythonQuestion{
		Name: w.Part.Name, Phase: "install", Capture: capture, Script: w.Part.Options[option].String(), State: w.Part.Options[stateOption].String(),
		Options: map[string]any{}, Sections: map[string]map[string]any{},
	}
	for name, v := range w.Part.Options {
		if name != sectionsOption && name != stateOption {
			question.Options[name] = v.Data()
		}
	}
	sections, _ := w.Part.Options[sectionsOption].Data().(map[string]any)
	for name, values := range sections {
		question.Sections[name], _ = values.(map[string]any)
	}
	answer, err := runPython(ctx, w.Python, question)
	if err != nil {
		return w.Error(option, "cannot run the Python: %w", err)
	}
	for _, f := range answer.Files {
		switch mode := fs.FileMode(f.Mode) & fs.ModePerm; {
		case f.Link != "":
			err = w.Files.Link(f.Link, f.Path)
		case f.Directory:
			err = w.Files.MakeDirectory(f.Path, mode)
		default:
			err = w.Files.Write(f.Path, f.Content, mode)
		}
		if err != nil {
			return w.Error("location", "%w", err)
		}
	}
	return nil
}

// runPython asks build.py. No answer is that of a plan.
func runPython(ctx context.Context, python Python, question pythonQuestion) (answer pythonAnswer, err error) {
	input, err := json.Marshal(question)
	if err != nil {
		return answer, fmt.Errorf("cannot tell Python the options: %w", err)
	}
	output, err := python(ctx, buildProgram, input)
	if err != nil || output == nil {
		return answer, err
	}
	if err := json.Unmarshal(output, &answer); err != nil {
		return answer, errors.New("cannot read its answer: " + err.Error())
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}
