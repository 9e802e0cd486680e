package install

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/profile"
)

// Preview is what a run would do.
type Preview struct {
	Parts []PartReport
	// Files are those that would be made, replaced or removed, in order.
	Files []FileChange
	// Commands would be run, in order.
	Commands []string
	// Services are the names in etc/service and etc/run that would appear, change or vanish.
	Services []ServiceChange
	// Published is what would be published, Requested the titles that would be requested.
	Published map[string]string
	Requested []string
	Waiting   []Waiting
}

// FileChange is one change of a plan.
type FileChange struct {
	// Path is relative to the partition's directory.
	Path string
	// Part made the file or wants it.
	Part string
	// Action is create, replace, remove, link or directory.
	Action string
	// Diff is line by line; empty for what only its owner may read, since that is where secrets are. What the profile
	// itself calls a password is replaced by "***" everywhere.
	Diff string
}

// MaxPlanDiffBytes bounds all diffs of a plan together: a plan has to fit into one message.
const MaxPlanDiffBytes = 1 << 20

// ServiceChange is one service of a plan.
type ServiceChange struct {
	Name   string
	Action string
}

// Plan tells what Run would do, and does nothing: no file is written, nothing is published or executed, and
// requests to the world carry Peek. What depends on a command's effects is planned as if it had none.
func Plan(ctx context.Context, p Partition, world recipe.World) (Preview, error) {
	r, err := newRun(p, world, nil)
	if err != nil {
		return Preview{}, err
	}
	defer r.stage.close()
	r.peek = true
	err = r.all(ctx)
	r.hideSecrets()
	preview := Preview{
		Parts: r.result.Parts, Files: r.files, Commands: r.commands, Published: r.result.Published,
		Requested: r.result.Requested, Waiting: r.result.Waiting,
	}
	for _, f := range r.files {
		for _, dir := range []string{"etc/service/", "etc/services/", "etc/run/"} {
			if name, ok := strings.CutPrefix(f.Path, dir); ok && !strings.Contains(name, "/") {
				preview.Services = append(preview.Services, ServiceChange{Name: name, Action: f.Action})
			}
		}
	}
	if errors.Is(err, recipe.ErrNotAvailable) {
		err = nil
	}
	return preview, err
}

// hideSecrets takes passwords out of the diffs, which the content of a wrapper or a command line may tell, and bounds them.
func (r *run) hideSecrets() {
	pairs := make([]string, 0, 2*len(r.secrets))
	for _, secret := range slices.SortedFunc(maps.Keys(r.secrets), func(a, b string) int { return len(b) - len(a) }) {
		pairs = append(pairs, secret, "***")
	}
	hide, left := strings.NewReplacer(pairs...), MaxPlanDiffBytes
	for i, command := range r.commands {
		r.commands[i] = hide.Replace(command)
	}
	for i := range r.files {
		diff := hide.Replace(r.files[i].Diff)
		if left -= len(diff); left < 0 {
			diff = "(too long to show)\n"
		}
		r.files[i].Diff = diff
	}
}

// MinSecretBytes is how long an option must be to be taken for a secret: replacing "1" everywhere would hide the diff.
const MinSecretBytes = 6

// noteSecrets remembers the values of a resolved profile that a plan must not tell.
func (r *run) noteSecrets(resolved *profile.Resolved) {
	if !r.peek {
		return
	}
	for _, part := range resolved.Parts {
		for name, value := range part.Options {
			if text := strings.TrimSpace(value.String()); len(text) >= MinSecretBytes && (part.Volatile[name] || isSecret(name)) {
				r.secrets[text] = true
			}
		}
	}
}

// isSecret tells by its name that an option is a secret.
func isSecret(option string) bool {
	option = strings.ToLower(option)
	for _, word := range []string{"passwd", "password", "secret", "token"} {
		if strings.HasSuffix(option, word) {
			return true
		}
	}
	return false
}

// note lists what a commit would do.
func (r *run) note(last bool) {
	if !last {
		return
	}
	for _, name := range r.stage.order {
		e := r.stage.entries[name]
		if e == nil || !e.changed {
			continue
		}
		change := FileChange{Path: e.path, Part: e.part[strings.LastIndexByte(e.part, '/')+1:]}
		var before []byte
		if info, err := r.stage.root.Lstat(e.path); err == nil {
			change.Action = "replace"
			before, _ = r.stage.contentOf(e.path, info)
			if info.Mode().Perm()&0o077 == 0 && info.Mode().IsRegular() && info.Mode().Perm()&0o100 == 0 {
				e.mode = info.Mode().Perm()
			}
		} else {
			change.Action = "create"
		}
		switch e.kind {
		case aRemoval:
			change.Action = "remove"
		case aDirectory:
			change.Action = "directory"
		case aLink:
			change.Action = "link"
			change.Diff = "→ " + string(e.content) + "\n"
		case aFile:
		}
		if e.kind != aDirectory && e.kind != aLink && e.mode != 0o600 && e.mode != 0o400 {
			change.Diff = lineDiff(string(before), string(e.content))
		}
		r.files = append(r.files, change)
	}
}
