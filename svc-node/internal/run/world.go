package run

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/durationpb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/interpreter"
	"github.com/vow-os/vow/svc-node/internal/peer"
	"github.com/vow-os/vow/svc-node/internal/recipe"
	"github.com/vow-os/vow/svc-node/internal/script"
)

// world is what recipes see of svc-master and of the machine, in one run.
type world struct {
	s Settings
	w *work
	// tree is the instances of the tree, read when a plan first asks.
	tree    []*masterv1.Instance
	answers *answers
	ports   *ports
	// published is what this run published: its own under "", else by the shared instance's reference.
	published map[string]map[string]string
	tracer    trace.Tracer
}

var _ recipe.World = (*world)(nil)

func (e *Engine) newWorld(w *work) *world {
	return &world{s: e.s, w: w, answers: e.answers, ports: &e.ports, tracer: e.tracer}
}

// answers remembers what svc-master last said of requested instances, so that a run that the node makes by itself while
// svc-master is away does not fail for want of an answer that has not changed.
type answers struct {
	mu    sync.Mutex
	known map[answerKey]recipe.Instance
}

type answerKey struct{ instance, title string }

// maxAnswers bounds the memory: 100 requests of each of 100 partitions.
const maxAnswers = 10_000

func newAnswers() *answers { return &answers{known: map[answerKey]recipe.Instance{}} }

func (a *answers) put(key answerKey, i recipe.Instance) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxAnswers {
		a.known = map[answerKey]recipe.Instance{} // filled again by the next runs
	}
	a.known[key] = i
}

func (a *answers) get(key answerKey) (recipe.Instance, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.known[key]
	return i, ok
}

// Request asks svc-master for an instance on behalf of the partition's own.
func (o *world) Request(ctx context.Context, r recipe.Request) (recipe.Instance, error) {
	if r.Peek {
		return o.peek(ctx, r.Title)
	}
	request := &masterv1.RequestInstanceRequest{
		RequesterId: o.w.desired.GetInstanceId(), Title: r.Title, SoftwareRelease: r.Release, SoftwareType: r.Type,
		Parameters: r.Parameters, Computer: r.SLA["computer_guid"], Shared: r.Shared,
	}
	if o.w.run.Local { // svc-master knows of no local run
		request.RequesterLocalAllocationId = o.w.run.AllocationID
	} else {
		request.RequesterAllocationId, request.RequesterToken = o.w.run.AllocationID, o.w.token
	}
	switch r.State {
	case "":
	case "started":
		request.State = typev1.RequestedState_REQUESTED_STATE_STARTED
	case "stopped":
		request.State = typev1.RequestedState_REQUESTED_STATE_STOPPED
	case "destroyed":
		request.State = typev1.RequestedState_REQUESTED_STATE_DESTROYED
	default:
		return recipe.Instance{}, fmt.Errorf("cannot request the state %q: started, stopped and destroyed are", r.State)
	}
	var err error
	if request.RetentionDelay, err = retentionDelay(r); err != nil {
		return recipe.Instance{}, err
	}
	if request.Sla, err = slaOf(r); err != nil {
		return recipe.Instance{}, err
	}
	key := answerKey{instance: request.GetRequesterId(), title: r.Title}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := o.s.Master.RequestInstance(call, request)
	if err != nil {
		if known, ok := o.answers.get(key); ok && o.w.run.Local && peer.Away(err) {
			return known, nil
		}
		if r.State == "destroyed" && peer.Code(err) == "not_found" {
			return recipe.Instance{State: r.State, Reason: "it is gone"}, nil // a profile goes on saying so when it is
		}
		return recipe.Instance{}, o.unavailable(err)
	}
	if id := answer.GetInstance().GetInstanceId(); !slices.Contains(o.w.requested.GetInstanceIds(), id) {
		o.w.requested.InstanceIds = append(o.w.requested.InstanceIds, id)
	}
	i := instance(answer.GetInstance(), answer.GetReady(), answer.GetReason())
	o.answers.put(key, i)
	return i, nil
}

// slaOf is what the SLA of a request asks for: `instance_guid` (of a shared instance), `group`, `cpu` (CPUs), `memory` and `disk` (MiB), `may_move` (true), and `label-<key>`. Other keys, which only
// SlapOS masters know, ask for nothing.
func slaOf(r recipe.Request) (*masterv1.Sla, error) {
	sla := &masterv1.Sla{Group: r.SLA["group"], Labels: map[string]string{}, Needs: &masterv1.Needs{}}
	for key, value := range r.SLA {
		if label, ok := strings.CutPrefix(key, "label-"); ok {
			sla.Labels[label] = value
		}
	}
	if r.Shared { // it needs nothing of a computer
		sla.HostId = r.SLA["instance_guid"]
		return sla, nil
	}
	for _, amount := range []struct {
		key  string
		most float64
		put  func(float64)
	}{
		{"cpu", 4096, func(n float64) { sla.Needs.MilliCpus = uint32(n * 1000) }},
		{"memory", 1 << 33, func(n float64) { sla.Needs.MemoryBytes = uint64(n * (1 << 20)) }},
		{"disk", 1 << 33, func(n float64) { sla.Needs.DiskBytes = uint64(n * (1 << 20)) }},
	} {
		text := r.SLA[amount.key]
		if text == "" {
			continue
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0 && n <= amount.most) { // also what is no number
			return nil, fmt.Errorf("cannot request %q: sla-%s is %q, want a number from 0 to %.0f", r.Title, amount.key, text, amount.most)
		}
		amount.put(n)
	}
	switch r.SLA["may_move"] {
	case "", "false":
	case "true":
		sla.MayMove = true
	default:
		return nil, fmt.Errorf("cannot request %q: sla-may_move is %q, want true or false", r.Title, r.SLA["may_move"])
	}
	return sla, nil
}

// retentionDelay is what the SLA of a request says in days, as SlapOS does.
func retentionDelay(r recipe.Request) (*durationpb.Duration, error) {
	text := r.SLA["retention_delay"]
	if text == "" || r.Shared {
		return nil, nil
	}
	days, err := strconv.ParseFloat(text, 64)
	if err != nil || !(days >= 0 && days <= 3650) {
		return nil, fmt.Errorf("cannot request %q: sla-retention_delay is %q, want 0 to 3650 days", r.Title, text)
	}
	return durationpb.New(time.Duration(days * 24 * float64(time.Hour))), nil
}

// peek tells what is known of an instance without requesting it.
func (o *world) peek(ctx context.Context, title string) (recipe.Instance, error) {
	if o.tree == nil {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		all, err := o.s.Master.ListInstances(call, o.w.desired.GetTreeId())
		if err != nil {
			return recipe.Instance{}, o.unavailable(err)
		}
		o.tree = all
	}
	for _, i := range o.tree {
		if i.GetTitle() == title && i.GetRequesterId() == o.w.desired.GetInstanceId() {
			ready := i.GetAllocationId() != "" && i.GetStatus().GetLastSuccessRunId() != ""
			if i.GetShared() {
				ready = i.GetHostId() != "" && i.GetUnservedReason() == ""
			}
			return instance(i, ready, i.GetUnallocatedReason()+i.GetUnservedReason()), nil
		}
	}
	return recipe.Instance{Reason: "it is not requested yet"}, nil
}

// unavailable makes svc-master's absence a wait: nothing is wrong with the profile.
func (o *world) unavailable(err error) error {
	if peer.Away(err) {
		return fmt.Errorf("%w: svc-master does not answer: %w", recipe.ErrNotAvailable, err)
	}
	return err
}

func instance(i *masterv1.Instance, ready bool, reason string) recipe.Instance {
	return recipe.Instance{
		Ready: ready, Reason: reason, Connection: i.GetConnectionParameters(), GUID: i.GetInstanceId(),
		State: stateName(i.GetState()),
	}
}

func stateName(s typev1.RequestedState) string {
	switch s {
	case typev1.RequestedState_REQUESTED_STATE_STARTED:
		return "started"
	case typev1.RequestedState_REQUESTED_STATE_STOPPED:
		return "stopped"
	case typev1.RequestedState_REQUESTED_STATE_DESTROYED:
		return "destroyed"
	}
	return ""
}

// Published is what the instance publishes, for itself or for a shared instance that it hosts, as the desired state told.
func (o *world) Published(_ context.Context, shared string) (map[string]string, error) {
	if done, ok := o.published[shared]; ok {
		return done, nil
	}
	if shared == "" {
		return o.w.desired.GetConnectionParameters(), nil
	}
	return o.hosted(shared).GetConnectionParameters(), nil
}

// hosted is a shared instance that this one hosts; nil = it does not.
func (o *world) hosted(reference string) *masterv1.HostedInstance {
	for _, h := range o.w.desired.GetHosted() {
		if h.GetInstanceId() == reference {
			return h
		}
	}
	return nil
}

// Publish replaces it, with the token of this run.
func (o *world) Publish(ctx context.Context, shared string, parameters map[string]string) error {
	if o.w.run.Local {
		return fmt.Errorf("%w: cannot publish while svc-master is away", recipe.ErrNotAvailable)
	}
	if shared != "" && o.hosted(shared) == nil {
		return fmt.Errorf("cannot publish for shared instance %q: this partition hosts none of that reference", shared)
	}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := o.s.Master.SetConnectionParameters(call, &masterv1.SetConnectionParametersRequest{
		AllocationId: o.w.run.AllocationID, Token: o.w.token, ConnectionParameters: parameters, SharedInstanceId: shared,
	})
	if err != nil && (shared == "" || peer.Code(err) != "not_found") { // a shared one may have gone since the run began: its list changed, and another run follows
		return o.unavailable(err)
	}
	if o.published == nil {
		o.published = map[string]map[string]string{}
	}
	o.published[shared] = maps.Clone(parameters)
	return nil
}

// Random is the system's source of secrets.
func (o *world) Random() io.Reader { return rand.Reader }

// Exec runs a shell command in the partition.
func (o *world) Exec(ctx context.Context, command string) error {
	return o.execute(ctx, script.Script{Name: "sh", Args: []string{"-c", command}})
}

// withUmask has a shell set its umask and become a program: the agent's umask is shared by all that it starts.
const withUmask = `umask 027; exec "$0" "$@"`

// Execute runs a program in the partition.
func (o *world) Execute(ctx context.Context, program string, arguments ...string) error {
	return o.execute(ctx, script.Script{Name: filepath.Base(program), Args: append([]string{"-c", withUmask, program}, arguments...)})
}

// Python runs a program with the Python of the partition's release.
func (o *world) Python(ctx context.Context, program string, input []byte) ([]byte, error) {
	arguments, environment, err := interpreter.Command(o.w.release, program)
	if err != nil {
		return nil, fmt.Errorf("cannot run Python: %w", err)
	}
	answer := bounded{left: recipe.MaxPythonBytes}
	err = o.execute(ctx, script.Script{
		Name: filepath.Base(arguments[0]), Args: append([]string{"-c", withUmask}, arguments...),
		Environment: environment, Input: bytes.NewReader(input), Answer: &answer,
	})
	if err == nil && answer.left < 0 {
		err = fmt.Errorf("cannot read more than %d bytes from Python", recipe.MaxPythonBytes)
	}
	return answer.Bytes(), err
}

// bounded keeps what is written to it, up to a number of bytes; beyond it left is negative.
type bounded struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left >= 0 {
		b.Buffer.Write(p)
	}
	return len(p), nil
}

// execute runs a shell in the partition.
func (o *world) execute(ctx context.Context, s script.Script) error {
	s.Directory, s.Path = o.w.directory, "/bin/sh"
	return script.Run(ctx, o.tracer, s)
}

func isIPv6(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Is6() && !a.Is4In6()
}
