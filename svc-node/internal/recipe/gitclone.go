package recipe

import (
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// gitClone is slapos.recipe.build:gitclone.
func gitClone() *Recipe {
	return &Recipe{
		Name:    "slapos.recipe.build:gitclone",
		Summary: "Clones a git repository into the partition. The clone is never removed: it may hold somebody's work.",
		Options: []Option{
			{Name: "repository", Required: true, Text: "URL or path of the repository."},
			{Name: "branch", Text: "Branch to follow: each run fetches it and goes to its head."},
			{Name: "revision", Text: "Commit or tag to stay at; it wins over branch."},
			{Name: "location", Default: "${buildout:parts-directory}/SECTION", Text: "Where to, within the partition."},
			{Name: "git-executable", Default: "git", Text: "The git to run; git-command is another spelling."},
			{Name: "develop", Default: "false", Text: "Leaves the clone as it is once it is there."},
			{Name: "depth", Text: "How many commits to fetch."},
			{Name: "sparse-checkout", Text: "Patterns of the files to check out."},
			{Name: "ignore-ssl-certificate, ignore-cloning-submodules, shared", Default: "false", Text: "As git's own options."},
			{Name: "use-cache, forbid-download-cache", Text: "Accepted: there is no cache."},
		},
		Provides:  []Option{{Name: "location", Text: "Path of the clone."}},
		Signature: 1,
		Executes:  true,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			location := in.Text("location")
			if location == "" {
				parts, err := in.Lookup("buildout", "parts-directory", "location")
				if err != nil {
					return profile.Provided{}, err
				}
				location = path.Join(parts.String(), in.Name())
			}
			if clean := path.Clean(location); !strings.HasPrefix(clean, in.Environment.BuildoutDirectory+"/") {
				return profile.Provided{}, in.Error("location", "cannot clone into %s: it is outside of the partition's directory", location)
			}
			return profile.Provided{Options: map[string]profile.Value{"location": profile.Text(path.Clean(location))}}, nil
		},
		Install: func(ctx context.Context, w *Work) error { return runGit(ctx, w, true) },
		Update: func(ctx context.Context, w *Work) error {
			if w.Files.Exists(w.Get("location")) && (isTrue(w.Get("develop")) || w.Get("revision") != "") {
				return nil
			}
			return runGit(ctx, w, false)
		},
	}
}

// runGit runs one command, so that a clone is there whole or not at all: it is made beside and renamed.
func runGit(ctx context.Context, w *Work, install bool) error {
	git := w.Get("git-executable")
	if git == "" {
		git = w.Get("git-command")
	}
	if git == "" {
		git = "git"
	}
	location, branch, revision := w.Get("location"), w.Get("branch"), w.Get("revision")
	for option, text := range map[string]string{"branch": branch, "revision": revision} {
		if strings.HasPrefix(text, "-") || strings.ContainsAny(text, " \t\n") {
			return w.Error(option, "cannot check out %q", text)
		}
	}
	words := []string{git}
	if isTrue(w.Get("ignore-ssl-certificate")) {
		words = append(words, "-c", "http.sslVerify=false")
	}
	run := func(more ...string) string {
		quoted := make([]string, 0, len(words)+len(more))
		for _, word := range append(words[:len(words):len(words)], more...) {
			quoted = append(quoted, quoteShell(word))
		}
		return strings.Join(quoted, " ")
	}
	fresh := location + ".new"
	clone := []string{"clone", "--quiet"}
	if !isTrue(w.Get("ignore-cloning-submodules")) && w.Get("sparse-checkout") == "" {
		clone = append(clone, "--recursive")
	}
	if isTrue(w.Get("shared")) {
		clone = append(clone, "--shared")
	}
	if depth := w.Get("depth"); depth != "" {
		if _, err := strconv.ParseUint(depth, 10, 31); err != nil {
			return w.Error("depth", "cannot fetch %q commits: a number is", depth)
		}
		clone = append(clone, "--depth", depth)
	}
	if branch != "" && revision == "" {
		clone = append(clone, "--branch", branch)
	}
	sparse := w.Get("sparse-checkout")
	if sparse != "" {
		clone = append(clone, "--no-checkout")
	}
	steps := []string{"rm -rf " + quoteShell(fresh), run(append(clone, "--", w.Get("repository"), fresh)...)}
	if sparse != "" {
		file := quoteShell(path.Join(fresh, ".git/info/sparse-checkout"))
		steps = append(steps, run("-C", fresh, "config", "core.sparseCheckout", "true"), "mkdir -p "+quoteShell(path.Join(fresh, ".git/info")), "printf '%s\\n' "+quoteShell(sparse)+" > "+file)
		if revision == "" {
			steps = append(steps, run("-C", fresh, "checkout", "--quiet", "HEAD"))
		}
	}
	if revision != "" {
		steps = append(steps, run("-C", fresh, "checkout", "--quiet", revision, "--"))
	}
	steps = append(steps, "mv "+quoteShell(fresh)+" "+quoteShell(location))
	update := run("-C", location, "fetch", "--quiet") + " && " + run("-C", location, "reset", "--quiet", "--hard", "@{upstream}")
	switch {
	case isTrue(w.Get("develop")):
		update = ":"
	case revision != "":
		update = run("-C", location, "fetch", "--quiet") + " && " + run("-C", location, "checkout", "--quiet", revision, "--")
	}
	command := "if [ -d " + quoteShell(location) + "/.git ]; then " + update + "; else mkdir -p " + quoteShell(path.Dir(location)) + " && " + strings.Join(steps, " && ") + "; fi"
	if err := w.Exec(ctx, command); err != nil {
		option := "repository"
		if !install && revision != "" {
			option = "revision"
		}
		return w.Error(option, "cannot clone the repository: %w", err)
	}
	return nil
}
