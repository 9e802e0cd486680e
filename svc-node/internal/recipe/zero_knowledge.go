package recipe

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

var knowledgeFile = []Option{
	{Name: "filename", Text: "Name of the file in the partition's directory."},
	{Name: "file-path", Text: "Path of the file, instead."},
}

// knowledgePath finds the file that both recipes share.
func knowledgePath(get func(string) string, directory string) string {
	if name := get("filename"); name != "" {
		return path.Join(directory, name)
	}
	return get("file-path")
}

// readKnowledge is slapos.cookbook:zero-knowledge.read.
func readKnowledge() *Recipe {
	return &Recipe{
		Name:      "slapos.cookbook:zero-knowledge.read",
		Summary:   "Gives what a file in the partition holds to other sections, so that a user can set what the master must not know.",
		Options:   knowledgeFile,
		Provides:  []Option{{Name: "*", Text: "Each option of the file, whatever its section; no file, no options."}},
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			provided := profile.Provided{Options: map[string]profile.Value{}}
			name := knowledgePath(in.Text, in.Environment.BuildoutDirectory)
			if name == "" {
				return provided, in.Error("filename", "cannot read a file: filename or file-path is needed")
			}
			if !in.Files.Exists(name) {
				return provided, nil
			}
			content, err := in.Files.Read(name)
			if err != nil {
				return provided, in.Error("filename", "%w", err)
			}
			for _, line := range strings.Split(string(content), "\n") {
				option, value, ok := strings.Cut(line, "=")
				if option = strings.TrimSpace(option); ok && option != "" && !strings.ContainsAny(option[:1], "#;[") && option != "recipe" {
					provided.Options[option] = profile.Text(strings.TrimSpace(value))
				}
			}
			return provided, nil
		},
	}
}

// writeKnowledge is slapos.cookbook:zero-knowledge.write.
func writeKnowledge() *Recipe {
	write := func(_ context.Context, w *Work) error {
		name := knowledgePath(w.Get, w.Environment.BuildoutDirectory)
		if name == "" {
			return w.Error("filename", "cannot write a file: filename or file-path is needed")
		}
		content := "[" + w.Part.Name + "]\n"
		for _, option := range sortedOptions(w) {
			if !slices.Contains([]string{"recipe", "filename", "file-path"}, option) && !strings.HasPrefix(option, "_") && !strings.HasPrefix(option, "<") {
				content += option + " = " + strings.ReplaceAll(strings.TrimSpace(w.Part.Options[option].String()), "\n", "\n  ") + "\n"
			}
		}
		if err := w.Files.CreateOnce(name, []byte(content), 0o600); err != nil {
			return w.Error("filename", "%w", err)
		}
		return nil
	}
	return &Recipe{
		Name:      "slapos.cookbook:zero-knowledge.write",
		Summary:   "Writes a file that a user changes and slapos.cookbook:zero-knowledge.read reads. It is made once; then it is the user's.",
		Options:   append(append([]Option(nil), knowledgeFile...), Option{Name: "*", Text: "What the file holds at first."}),
		Signature: 1,
		Install:   write,
		Update:    write,
	}
}
