package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/image"
	"github.com/vow-os/vow/tools/cluster/policy"
)

// enforcement is what the process is told that enforces NetworkPolicies on one machine.
type enforcement struct{ Server, Token, Node, Pods string }

// enforceAgain is how long what the API server said may be old; what changes meanwhile is told at once.
const enforceAgain = 5 * time.Second

// capabilityNetAdmin is CAP_NET_ADMIN, all that the process and nft may do beyond what any user may.
const capabilityNetAdmin = 12

// enforcer is the command that enforces policies on a machine: not as root, and with a token that lists and watches three kinds of objects.
func (m Machine) enforcer(ctx context.Context) (*exec.Cmd, error) {
	what, err := json.Marshal(enforcement{Server: server, Token: m.Enforcer, Node: m.Name, Pods: m.Pods})
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "/proc/self/exe")
	command.Env = []string{"PATH=/usr/sbin:/usr/bin", stageVariable + "=" + stageEnforce}
	command.Stdin = bytes.NewReader(what)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: image.UserID, Gid: image.UserID}, AmbientCaps: []uintptr{capabilityNetAdmin}}
	return command, nil
}

// enforce keeps the machine's rules as the API server's objects say. While there is no answer, the rules stay as they are.
func enforce(ctx context.Context, e enforcement) error {
	client := api.New(e.Server, e.Token, "enforcer")
	kinds := []string{"/api/v1/pods", "/api/v1/namespaces", "/apis/networking.k8s.io/v1/networkpolicies"}
	changed := make(chan struct{}, 1)
	for _, kind := range kinds {
		go watch(ctx, client, kind, changed)
	}
	again := time.NewTicker(enforceAgain)
	defer again.Stop()
	now := ""
	for {
		rules, err := e.rules(ctx, client, kinds)
		if err == nil && rules != now {
			err = load(ctx, rules)
			if err == nil {
				now = rules
			}
		}
		if err != nil {
			fmt.Printf("cannot enforce policies now: %v\n", err)
		}
		select {
		case <-changed:
		case <-again.C:
		}
	}
}

// rules are those of what the API server says now.
func (e enforcement) rules(ctx context.Context, client *api.Client, kinds []string) (string, error) {
	var pods struct{ Items []policy.Pod }
	var namespaces struct{ Items []policy.Namespace }
	var policies struct{ Items []policy.Policy }
	for n, into := range []any{&pods, &namespaces, &policies} {
		if err := client.Get(ctx, kinds[n], into); err != nil {
			return "", err
		}
	}
	return policy.Ruleset(policy.State{Policies: policies.Items, Pods: pods.Items, Namespaces: namespaces.Items}, e.Node, e.Pods), nil
}

// load replaces the table of the kernel as a whole.
func load(ctx context.Context, rules string) error {
	command := exec.CommandContext(ctx, "nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot nft -f: %w: %s: %s", err, out, rules)
	}
	return nil
}

// watch says that something changed whenever the API server says anything of one kind of objects, until the context ends.
func watch(ctx context.Context, client *api.Client, kind string, changed chan<- struct{}) {
	said := make([]byte, 64<<10)
	pause := time.NewTicker(time.Second)
	defer pause.Stop()
	for ctx.Err() == nil {
		lines, err := client.Watch(ctx, kind+"?watch=true")
		for err == nil {
			_, err = lines.Read(said)
			select {
			case changed <- struct{}{}:
			default: // it is known that something did
			}
		}
		if lines != nil {
			err = errors.Join(err, lines.Close())
		}
		if !errors.Is(err, io.EOF) {
			fmt.Printf("cannot watch %s: %v\n", kind, err)
		}
		<-pause.C
	}
}
