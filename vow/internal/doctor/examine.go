package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vow-os/vow/console/relay"
	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/examine"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/vow/internal/client"
)

// Bounds of an examination.
const (
	// Within is how long all of it may take.
	Within = 20 * time.Second
	// answerWithin is how long one service or node may take: more than it gives itself.
	answerWithin = 5 * time.Second
	// dialWithin is how long a port may take to be opened.
	dialWithin = time.Second
	// maxNodes is how many nodes are asked; of the others their colours are told.
	maxNodes = 100
	// nodesAtOnce is half of what svc-master relays for one caller.
	nodesAtOnce = 16
)

// Clocks: order comes from generations, so nothing breaks at once; deadlines, mutes, pauses and what people read are off by as much.
const (
	clockWarn = time.Second
	clockFail = 30 * time.Second
)

// asked is what one service or node answered.
type asked struct {
	about string
	// offset of its clock from ours, and how far it may be wrong: half of how long the answer took.
	offset, doubt time.Duration
	answer        *examinev1.ExamineResponse
	err           error
}

// Examine looks at everything.
func Examine(ctx context.Context, f *client.Fleet, version string) *Report {
	ctx, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	report := &Report{At: time.Now(), Versions: map[string]string{"vow": version}}
	services := eachOf(f.Examinations, len(f.Examinations), func(e client.Examination) asked { return ask(ctx, e.Service, e.Client.Examine) })
	for i, e := range f.Examinations {
		report.service(ctx, e.Address, services[i])
	}
	nodes := report.computers(ctx, f)
	report.clocks(append(services, nodes...))
	report.versions()
	report.trees(ctx, f)
	report.Verdict = word(report.worst())
	return report
}

// ask one service or node, and look at our clock before and after.
func ask(ctx context.Context, about string, call func(context.Context, *examinev1.ExamineRequest) (*examinev1.ExamineResponse, error)) asked {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	before := time.Now()
	answer, err := call(ctx, &examinev1.ExamineRequest{})
	took := time.Since(before)
	a := asked{about: about, answer: answer, err: err}
	if err == nil { // its clock was looked at just before it answered, at some time between before and now
		a.offset, a.doubt = answer.GetNow().AsTime().Sub(before.Add(took/2)), took/2
	}
	return a
}

// service tells of one of the control plane, or of the node of this machine.
func (r *Report) service(ctx context.Context, address string, a asked) {
	switch {
	case a.err == nil:
		r.Versions[a.about] = a.answer.GetVersion()
		r.add(a.about, examine.Well("answers", "at %s", address))
		r.add(a.about, checksOf(a.answer)...)
	case rpc.CodeOf(a.err) == rpc.CodeUnimplemented:
		r.Versions[a.about] = "older than this command"
		r.add(a.about, examine.Bad(examine.Warn, "answers", "upgrade it", "at %s, and cannot examine itself yet", address))
	default:
		r.add(a.about, port(ctx, a, address))
	}
}

// port tells apart that nothing listens, that nobody is reached, and that what listens is something else, or hangs.
func port(ctx context.Context, a asked, address string) examine.Check {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialWithin) // what hung took the time
	defer cancel()
	var failed error
	for replica := range strings.SplitSeq(address, ",") {
		network, to := "tcp", strings.TrimPrefix(strings.TrimPrefix(replica, "http://"), "https://")
		if path, ok := strings.CutPrefix(replica, "unix:"); ok {
			network, to = "unix", strings.TrimPrefix(path, "//")
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, network, to)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		_ = conn.Close() // nothing was sent
		return examine.Bad(examine.Fail, "port", "ss -tlnp tells who listens there; curl its admin port's /readyz for what it waits for", "something listens at %s and does not answer as %s: %v", to, a.about, a.err)
	}
	return examine.Bad(examine.Fail, "port", "start "+a.about+" (systemctl status "+a.about+", or vow up), or say where it is with --master, --scheduler, --promise", "nothing answers at %s: %v", address, failed)
}

// computers tells of those that are not heard of, and asks the nodes of the others.
func (r *Report) computers(ctx context.Context, f *client.Fleet) []asked {
	all, err := within(ctx, f.AllComputers)
	if err != nil {
		r.add("computers", examine.Bad(examine.Fail, "contact", "see svc-master above", "they are not known: %s", rpc.Message(err)))
		return nil
	}
	var alive []string
	quiet := map[typev1.Colour][]string{}
	for _, c := range all {
		switch colour := c.GetColour().GetColour(); colour {
		case typev1.Colour_COLOUR_ORANGE, typev1.Colour_COLOUR_RED:
			quiet[colour] = append(quiet[colour], c.GetName())
		default:
			alive = append(alive, c.GetName())
		}
	}
	advice := "vow why COMPUTER; one that does not come back: vow computer evict COMPUTER"
	if dead := quiet[typev1.Colour_COLOUR_RED]; len(dead) > 0 {
		r.add("computers", examine.Bad(examine.Fail, "contact", advice, "%d of %d are dead: %s", len(dead), len(all), some(dead)))
	}
	if late := quiet[typev1.Colour_COLOUR_ORANGE]; len(late) > 0 {
		r.add("computers", examine.Bad(examine.Warn, "contact", advice, "%d of %d were not heard of for 5 min: %s", len(late), len(all), some(late)))
	}
	if len(quiet) == 0 {
		r.add("computers", examine.Well("contact", "%d are heard of", len(all)))
	}
	slices.Sort(alive)
	if len(alive) > maxNodes {
		r.add("nodes", examine.Well("asked", "%d of %d", maxNodes, len(alive)))
		alive = alive[:maxNodes]
	}
	nodes := eachOf(alive, nodesAtOnce, func(computer string) asked { return ask(ctx, "node "+computer, relay.To(f.Links, computer).Examine) })
	for _, a := range nodes {
		switch {
		case a.err == nil:
			r.Versions[a.about] = a.answer.GetVersion()
			r.add(a.about, checksOf(a.answer)...)
		case rpc.CodeOf(a.err) == rpc.CodeUnimplemented, rpc.IsInvalidArgument(a.err): // of svc-master, which relays what it knows
			r.Versions[a.about] = "older than this command"
			r.add(a.about, examine.Bad(examine.Warn, "answers", "upgrade it", "it cannot be examined yet"))
		default:
			r.add(a.about, examine.Bad(examine.Fail, "link", "systemctl status vow-supervisor on that machine, and vow node status there", "%s", rpc.Message(a.err)))
		}
	}
	return nodes
}

// clocks compares all with svc-master's, whose times order what people read; without it with ours.
func (r *Report) clocks(all []asked) {
	base := asked{about: "this machine"}
	if i := slices.IndexFunc(all, func(a asked) bool { return a.about == "svc-master" && a.err == nil }); i >= 0 {
		base = all[i]
		all = append(slices.Delete(slices.Clone(all), i, i+1), asked{about: "this machine"})
	}
	advice := "let it keep its clock by NTP (timedatectl set-ntp true)"
	compared := 0
	for _, a := range all {
		if a.err != nil {
			continue
		}
		compared++
		off := (a.offset - base.offset).Abs() - a.doubt - base.doubt
		if off < clockWarn {
			continue
		}
		level := examine.Warn
		if off >= clockFail {
			level = examine.Fail
		}
		r.add("clocks", examine.Bad(level, a.about, advice, "%s from %s", (a.offset-base.offset).Round(time.Millisecond), base.about))
	}
	if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.About == "clocks" }) {
		r.add("clocks", examine.Well("skew", "%d agree with %s within %s", compared, base.about, clockWarn))
	}
}

// versions tells who has which, when they differ.
func (r *Report) versions() {
	who := map[string][]string{}
	for name, version := range r.Versions {
		who[version] = append(who[version], name)
	}
	var told []string
	for _, version := range slices.Sorted(maps.Keys(who)) {
		told = append(told, fmt.Sprintf("%s: %s", version, some(who[version])))
	}
	if len(who) > 1 {
		r.add("versions", examine.Bad(examine.Warn, "skew", "finish the upgrade: any order works, for as long as it lasts", "%s", strings.Join(told, "; ")))
		return
	}
	r.add("versions", examine.Well("skew", "%s", strings.Join(told, "")))
}

// trees names those that are Red: vow is well all the same.
func (r *Report) trees(ctx context.Context, f *client.Fleet) {
	all, err := within(ctx, f.AllTrees)
	if err != nil {
		r.add("trees", examine.Bad(examine.Fail, "colours", "see svc-master above", "they are not known: %s", rpc.Message(err)))
		return
	}
	var red []string
	for _, t := range all {
		if t.GetColour().GetColour() == typev1.Colour_COLOUR_RED {
			red = append(red, t.GetTitle())
		}
	}
	if len(red) > 0 {
		r.add("trees", examine.Bad(examine.Warn, "colours", "vow why TREE", "%d of %d are Red: %s", len(red), len(all), some(red)))
		return
	}
	r.add("trees", examine.Well("colours", "none of %d is Red", len(all)))
}

// within asks for a list, and does not wait for ever.
func within[T any](ctx context.Context, list func(context.Context) ([]T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return list(ctx)
}

// eachOf asks about every member of a list, some at once, and answers in its order.
func eachOf[T, A any](list []T, atOnce int, do func(T) A) []A {
	answers := make([]A, len(list))
	turns := make(chan struct{}, max(atOnce, 1))
	var all sync.WaitGroup
	for i, of := range list {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			answers[i] = do(of)
		})
	}
	all.Wait()
	return answers
}
