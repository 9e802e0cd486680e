package doctor

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/vow-os/vow/console/relay"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// Bounds of a bundle: of what a person can read and send.
const (
	// BundleWithin is how long it may take, the examination apart.
	BundleWithin = time.Minute
	// maxTrees are the trees that are told in full, Red ones first; nothing is told of others, since their secrets are not known.
	maxTrees = 200
	// maxLogs are the processes whose output's end is in it, each tailBytes long.
	maxLogs   = 50
	tailBytes = 16 << 10
	// listed is how many bangs, convergences and entries of the audit are asked for.
	listed = 100
	// maxFile bounds one file, in bytes.
	maxFile = 8 << 20
)

// bundle is the files, by name, before anything is taken out of their texts.
type bundle struct {
	fleet   *client.Fleet
	files   map[string]string
	secrets secrets
	missing []string
	// unread is true when the secrets of some tree are not known.
	unread bool
	logs   int
}

// Bundle writes a tar.gz of what a person far away needs: the report, listings, recent bangs, convergences, crimes, agenda, audit, and of nodes their processes and the end of
// their output. What does not answer is named in missing.txt. It does not fail because something is down.
func Bundle(ctx context.Context, f *client.Fleet, report *Report, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, BundleWithin)
	defer cancel()
	b := &bundle{fleet: f, files: map[string]string{}, secrets: secrets{}}
	b.object("doctor.json", report)
	trees := b.trees(ctx)
	b.lists(ctx)
	b.nodes(ctx, trees)
	b.files["missing.txt"] = strings.Join(append(b.missing, ""), "\n")
	return b.write(out, report.At)
}

// trees tells those that can be told, and learns what must not be told.
func (b *bundle) trees(ctx context.Context) []*masterv1.Tree {
	all, err := within(ctx, b.fleet.AllTrees)
	b.unread = b.lacks("trees", err)
	slices.SortStableFunc(all, func(x, y *masterv1.Tree) int {
		return -cmp.Compare(x.GetColour().GetColour(), y.GetColour().GetColour())
	}) // Red is the greatest
	if len(all) > maxTrees {
		b.missing = append(b.missing, fmt.Sprintf("trees: %d of %d are told", maxTrees, len(all)))
		all, b.unread = all[:maxTrees], true
	}
	var told []*masterv1.Tree
	for _, t := range all {
		answer, err := b.fleet.Trees.GetTree(ctx, &masterv1.GetTreeRequest{By: &masterv1.GetTreeRequest_Id{Id: t.GetTreeId()}})
		if b.lacks("tree "+t.GetTreeId(), err) {
			b.unread = true
			continue
		}
		b.secrets.learn(answer.GetTree())
		told = append(told, answer.GetTree())
		folder := path.Join("trees", t.GetTreeId())
		b.message(folder+"/tree.json", proto.Clone(answer.GetTree()))
		bangs, err := b.fleet.Bangs.ListBangs(ctx, &masterv1.ListBangsRequest{TreeId: t.GetTreeId(), PageSize: listed})
		b.answer(folder+"/bangs.json", bangs, err)
		convergences, err := b.fleet.Convergences.ListConvergences(ctx, &masterv1.ListConvergencesRequest{TreeId: t.GetTreeId(), PageSize: listed})
		b.answer(folder+"/convergences.json", convergences, err)
		audit, err := b.fleet.Audit.ListAudit(ctx, &masterv1.ListAuditRequest{TreeId: t.GetTreeId(), PageSize: listed})
		b.answer(folder+"/audit.json", audit, err)
	}
	return told
}

// lists tells what is of the whole fleet. What it quotes of trees, as reasons of colours and evidence of crimes do, is told only if the secrets of all are known.
func (b *bundle) lists(ctx context.Context) {
	computers, err := within(ctx, b.fleet.AllComputers)
	b.lacks("computers", err)
	for _, c := range computers {
		if b.unread {
			c.Partitions = nil
		}
	}
	b.answer("computers.json", &masterv1.ListComputersResponse{Computers: computers}, err)
	software, err := b.fleet.Software.ListSoftware(ctx, &masterv1.ListSoftwareRequest{})
	b.answer("software.json", software, err)
	agenda, err := b.fleet.Agenda.ListAgenda(ctx, &schedulerv1.ListAgendaRequest{})
	b.answer("agenda.json", agenda, err)
	if b.unread {
		b.missing = append(b.missing, "crimes: the secrets of some trees are not known")
		return
	}
	runs, err := b.fleet.Trees.ListRunCrimes(ctx, &masterv1.ListRunCrimesRequest{})
	b.answer("crimes-of-runs.json", runs, err)
	promises, err := b.fleet.Promises.ListCrimes(ctx, &promisev1.ListCrimesRequest{})
	b.answer("crimes-of-promises.json", promises, err)
}

// nodes tells the processes of the computers that told trees are on, Red ones' first, and the end of their output.
func (b *bundle) nodes(ctx context.Context, trees []*masterv1.Tree) {
	held := map[string]map[string]bool{} // by computer: partitions whose secrets are known
	var order []string
	for _, t := range trees {
		for _, i := range t.GetInstances() {
			if i.GetPartition() == "" {
				continue
			}
			if held[i.GetComputer()] == nil {
				held[i.GetComputer()] = map[string]bool{}
				order = append(order, i.GetComputer())
			}
			held[i.GetComputer()][i.GetPartition()] = true
		}
	}
	for _, computer := range order[:min(len(order), maxNodes)] {
		node, folder := relay.To(b.fleet.Links, computer), path.Join("nodes", computer)
		processes, err := node.ListProcesses(ctx, &nodev1.ListProcessesRequest{})
		if !b.answer(folder+"/processes.json", processes, err) {
			continue
		}
		for _, p := range processes.GetProcesses() {
			if b.logs == maxLogs || !held[computer][p.GetPartition()] {
				continue
			}
			b.logs++
			b.log(ctx, node, path.Join(folder, p.GetPartition(), p.GetName()+".log"), p)
		}
	}
}

// log is the end of what one process wrote.
func (b *bundle) log(ctx context.Context, node relay.Node, name string, p *nodev1.Process) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var text strings.Builder
	err := node.Logs(ctx, &nodev1.LogsRequest{Partition: p.GetPartition(), Process: p.GetName(), TailBytes: tailBytes}, func(r *nodev1.LogsResponse) error {
		text.Write(r.GetOutput())
		return nil
	})
	b.lacks(name, err)
	// Its first line may have been cut inside of a secret.
	_, whole, _ := strings.Cut(text.String(), "\n")
	if text.Len() < tailBytes {
		whole = text.String()
	}
	b.files[name] = whole
}

// answer notes what was answered, or that it was not.
func (b *bundle) answer(name string, m proto.Message, err error) bool {
	if b.lacks(name, err) {
		return false
	}
	b.message(name, m)
	return true
}

func (b *bundle) message(name string, m proto.Message) {
	redact(m)
	text, err := protojson.MarshalOptions{UseProtoNames: true, Multiline: true}.Marshal(m)
	if !b.lacks(name, err) {
		b.files[name] = string(text) + "\n"
	}
}

func (b *bundle) object(name string, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if !b.lacks(name, err) {
		b.files[name] = string(text) + "\n"
	}
}

func (b *bundle) lacks(what string, err error) bool {
	if err != nil {
		b.missing = append(b.missing, what+": "+rpc.Message(err))
	}
	return err != nil
}

// write packs the files, without the secrets.
func (b *bundle) write(out io.Writer, at time.Time) error {
	names := make([]string, 0, len(b.files))
	for name := range b.files {
		names = append(names, name)
	}
	slices.Sort(names)
	scrub := b.secrets.scrubber()
	zipped := gzip.NewWriter(out)
	packed := tar.NewWriter(zipped)
	for _, name := range names {
		text := scrub.Replace(b.files[name])
		if len(text) > maxFile {
			text = text[:maxFile] + "\n[cut]\n"
		}
		err := packed.WriteHeader(&tar.Header{Name: "vow-support/" + scrub.Replace(name), Mode: 0o600, Size: int64(len(text)), ModTime: at, Typeflag: tar.TypeReg})
		if err == nil {
			_, err = io.WriteString(packed, text)
		}
		if err != nil {
			return fmt.Errorf("cannot write the bundle: %w", err)
		}
	}
	if err := errors.Join(packed.Close(), zipped.Close()); err != nil {
		return fmt.Errorf("cannot write the bundle: %w", err)
	}
	return nil
}
