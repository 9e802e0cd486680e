package trial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// confined looks at every process of every pod, from outside, where nothing can be pretended.
func (t *Trial) confined(ctx context.Context) (string, error) {
	users := map[string]string{}
	for _, w := range t.workloads() {
		users[w.Name] = fmt.Sprint(w.At("spec", "template", "spec", "securityContext", "runAsUser"))
	}
	pods, err := t.pods(ctx, "")
	if err != nil {
		return "", err
	}
	looked := 0
	var wrong error
	for _, p := range pods {
		pids, err := processes(p)
		if err != nil {
			return "", err
		}
		user := users[p.Metadata.Labels[label]]
		for _, pid := range pids {
			s := status(pid)
			if s == nil {
				continue // a probe's, which has ended
			}
			looked++
			for key, want := range map[string]string{
				"Uid": strings.Join([]string{user, user, user, user}, " "), "Seccomp": "2", "NoNewPrivs": "1",
				"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
			} {
				if s[key] != want {
					wrong = errors.Join(wrong, fmt.Errorf("%s: process %s has %s %s, want %s", p.Metadata.Name, s["Name"], key, s[key], want))
				}
			}
		}
		root := fmt.Sprintf("/proc/%d/root", pids[0])
		if err := os.Mkdir(root+"/written", 0o755); !errors.Is(err, syscall.EROFS) {
			wrong = errors.Join(wrong, fmt.Errorf("%s: writing to its root was not refused as read-only but gave %w", p.Metadata.Name, orDone(err)))
		}
		if _, err := os.Stat(root + "/var/run/secrets/kubernetes.io"); !errors.Is(err, os.ErrNotExist) {
			wrong = errors.Join(wrong, fmt.Errorf("%s: looking for a token of a service account gave %w", p.Metadata.Name, orDone(err)))
		}
	}
	return fmt.Sprintf("%d processes of %d pods: not root, no capability, seccomp, no new privileges; root file systems read-only, no tokens", looked, len(pods)), wrong
}

// errDone is the error of what should have failed and did not.
var errDone = errors.New("no error")

func orDone(err error) error {
	if err == nil {
		return errDone
	}
	return err
}
