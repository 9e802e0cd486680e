package redisstore

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
	"github.com/vow-os/vow/svc-master/fleet"
)

// told is what the audit says, newest first: kind and who.
func told(t *testing.T, s *Store, q AuditQuery) []string {
	t.Helper()
	var out []string
	for _, e := range audited(t, s, q) {
		line := strings.TrimPrefix(e.GetKind().String(), "AUDIT_KIND_") + " by " + e.GetBy()
		if e.GetFolded() > 0 {
			line += fmt.Sprintf(" ×%d", e.GetFolded())
		}
		out = append(out, line)
	}
	return out
}

// audited reads all pages.
func audited(t *testing.T, s *Store, q AuditQuery) (all []*masterv1.AuditEntry) {
	t.Helper()
	if q.Size == 0 {
		q.Size = 100
	}
	for {
		page, next, err := s.Audit(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if q.After = next; next == "" {
			return all
		}
	}
}

func byAnn(c Change) Change {
	c.By = Actor{Kind: masterv1.AuditActor_AUDIT_ACTOR_CALLER, Name: "ann", Address: "192.0.2.1:7"}
	return c
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: the audit says\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The audit has an entry of each change that was committed, and of nothing else: neither what was refused, nor what was repeated, nor the same twice after a
// lost reply. It is bounded, read in pages by time over all trees and computers, and outlives what it tells of.
func TestAuditTellsWhatWasCommitted(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		auditOfTrees(t, s)
		auditOfComputers(t, s)
		auditInPages(t, s)
		auditIsBounded(t, s)
	})
}

func auditOfTrees(t *testing.T, s *Store) {
	plant(t, s, "taudit")
	expect(t, "a new instance", told(t, s, AuditQuery{Tree: "taudit"}), "ALLOCATED by placement", "REQUESTED by ")
	f := &faults{}
	s.client.AddHook(f)
	f.set(func(f *faults) { f.lose = 1 })
	change(t, s, byAnn(bangUnder("taudit", "k1", nil)))
	change(t, s, byAnn(bangUnder("taudit", "k1", nil)))
	if _, err := s.Update(t.Context(), byAnn(Change{Tree: "taudit", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.Rename(fleet.Rename{InstanceID: "taudit.i1", Title: "two\nlines"}, now)
		return nil, fx, err
	}})); err == nil {
		t.Fatal("a title with a line break is taken")
	}
	secret := func(value string) Change {
		return byAnn(Change{Tree: "taudit", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
			_, fx, err := t.Request(fleet.Request{Title: "taudit", Release: "https://ann:hunter2@example.com/r?sign=hunter2", Parameters: map[string]string{
				"password": value, "_": `{"port": 80, "key": "` + value + `"}`,
			}}, now)
			return nil, fx, err
		}})
	}
	change(t, s, secret("hunter2"))
	change(t, s, secret("hunter2")) // the same again changes nothing
	change(t, s, secret("hunter22"))
	all := audited(t, s, AuditQuery{Tree: "taudit"})
	expect(t, "a bang and a change", told(t, s, AuditQuery{Tree: "taudit"}), "CHANGED by ann", "CHANGED by ann", "BANGED by ann", "ALLOCATED by placement", "REQUESTED by ")
	expect(t, "what changed", all[0].GetChanges(), "parameter _.key", "parameter password")
	expect(t, "what changed before", all[1].GetChanges(), "release", "parameter _.key", "parameter _.port", "parameter password")
	for _, e := range all {
		if strings.Contains(e.String(), "hunter") {
			t.Fatalf("a secret is in %v", e)
		}
	}
	if e := all[2]; e.GetBangId() != "taudit.b1" || e.GetAddress() != "192.0.2.1:7" || e.GetAccount() != "default" || time.Since(e.GetAt().AsTime()) > time.Minute {
		t.Fatalf("the bang is %v", e)
	}

	// What one caller bangs while a commit is on its way is committed, and told, at once.
	entered, release := make(chan struct{}), make(chan struct{})
	f.set(func(f *faults) { f.before = func() { close(entered); <-release } })
	var waiting sync.WaitGroup
	for n := range 30 {
		waiting.Go(func() {
			if _, err := s.Update(t.Context(), byAnn(bangUnder("taudit", fmt.Sprint("fold", n), nil))); err != nil {
				t.Error(err)
			}
		})
		if n == 0 {
			<-entered
		}
	}
	for queued := 0; queued < 29; {
		s.trees.mu.Lock()
		queued = len(s.trees.queues["taudit"])
		s.trees.mu.Unlock()
	}
	close(release)
	waiting.Wait()
	expect(t, "thirty bangs", told(t, s, AuditQuery{Tree: "taudit"})[:3], "BANGED by ann ×29", "BANGED by ann", "CHANGED by ann")

	// The audit of a tree that is gone stays.
	change(t, s, byAnn(Change{Tree: "taudit", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.SetState(fleet.SetState{InstanceID: "taudit.i1", State: fleet.Destroyed}, now)
		return nil, fx, err
	}}))
	change(t, s, Change{Tree: "taudit", Decide: func(t *fleet.Tree, now time.Time) (proto.Message, fleet.Effects, error) {
		_, fx, err := t.Freed(fleet.Freed{AllocationID: "taudit.a1", Reason: "its computer is gone"}, now)
		return nil, fx, err
	}})
	if err := s.Purge(t.Context(), "taudit"); err != nil {
		t.Fatal(err)
	}
	if n := s.client.Exists(t.Context(), keysOfTree("taudit").audited).Val(); n != 0 {
		t.Fatal("the list of its ids stays")
	}
	expect(t, "a tree that is gone", told(t, s, AuditQuery{Tree: "taudit"})[:3], "GONE by removal", "FREED by ", "DESTROYED by ann")
}

func auditOfComputers(t *testing.T, s *Store) {
	label := func(value string) error {
		_, err := s.ChangeComputer(t.Context(), "rack", func(c *Computer) error {
			if c.Record == nil {
				c.Record = &storev1.ComputerRecord{}
			}
			labels := map[string]string{"rack": value}
			c.Audit(byAnn(Change{}).By, &masterv1.AuditEntry{
				Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_LABELLED, Changes: Differing("label ", c.Record.GetLabels(), labels, func(a, b string) bool { return a == b }),
			})
			c.Record.Labels = labels
			return nil
		})
		return err
	}
	f := &faults{}
	s.client.AddHook(f)
	f.set(func(f *faults) { f.lose = 1 })
	if label("1") == nil {
		t.Fatal("a lost reply makes no error")
	}
	for _, value := range []string{"1", "1", "2"} {
		if err := label(value); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "a computer", told(t, s, AuditQuery{Computer: "rack"}), "COMPUTER_LABELLED by ann", "COMPUTER_LABELLED by ann")
	expect(t, "what changed of it", audited(t, s, AuditQuery{Computer: "rack"})[0].GetChanges(), "label rack")
}

func auditInPages(t *testing.T, s *Store) {
	for n := range 12 {
		plant(t, s, fmt.Sprintf("tpage%d", n))
	}
	var whole []string
	for _, e := range audited(t, s, AuditQuery{}) {
		whole = append(whole, e.GetAuditId())
	}
	order := func(a, b string) int {
		x, _ := parseAudit(a)
		y, _ := parseAudit(b)
		if c := y.compare(x); c != 0 {
			return c
		}
		return strings.Compare(x.stream, y.stream)
	}
	if len(whole) < 35 || !slices.IsSortedFunc(whole, order) {
		t.Fatalf("%d entries, in the order %v", len(whole), whole)
	}
	for _, size := range []int{1, 7, len(whole)} {
		var got []string
		for _, e := range audited(t, s, AuditQuery{Size: size}) {
			got = append(got, e.GetAuditId())
		}
		expect(t, fmt.Sprintf("pages of %d", size), got, whole...)
	}
	expect(t, "who and what", told(t, s, AuditQuery{By: "ann", Kinds: []masterv1.AuditKind{masterv1.AuditKind_AUDIT_KIND_DESTROYED}}), "DESTROYED by ann")
	expect(t, "where", told(t, s, AuditQuery{Computer: "one", Tree: "tpage3"}), "ALLOCATED by placement")
	expect(t, "another account", told(t, s, AuditQuery{Account: "other"}))
	middle, _ := parseAudit(whole[20])
	at := time.UnixMilli(middle.ms)
	newer, older := audited(t, s, AuditQuery{Since: at}), audited(t, s, AuditQuery{Until: at})
	if len(newer)+len(older) != len(whole) || len(newer) < 21 {
		t.Fatalf("of %d entries %d are not before %v and %d are", len(whole), len(newer), at, len(older))
	}
	if _, _, err := s.Audit(t.Context(), AuditQuery{Size: 1, After: "yesterday"}); err == nil {
		t.Fatal("a page goes on after what is no entry")
	}
}

func auditIsBounded(t *testing.T, s *Store) {
	small := begin(t, s.redis, Limits{AuditEntries: 5, AuditTree: 3, AuditComputer: 2})
	quiet := "tquiet"
	noisy := quiet
	for n := 0; noisy == quiet || ShardOf(noisy) != ShardOf(quiet); n++ {
		noisy = fmt.Sprintf("tnoisy%d", n)
	}
	plant(t, small, quiet)
	plant(t, small, noisy)
	for n := range 10 {
		change(t, small, byAnn(bangUnder(noisy, fmt.Sprint("b", n), nil)))
	}
	expect(t, "a noisy tree", told(t, small, AuditQuery{Tree: noisy}), "BANGED by ann", "BANGED by ann", "BANGED by ann")
	expect(t, "its quiet neighbour", told(t, small, AuditQuery{Tree: quiet}), "ALLOCATED by placement", "REQUESTED by ")
	for n := range 5 {
		if _, err := small.ChangeComputer(t.Context(), "rack", func(c *Computer) error {
			c.Record.Group = fmt.Sprint(n)
			c.Audit(Actor{}, &masterv1.AuditEntry{Kind: masterv1.AuditKind_AUDIT_KIND_COMPUTER_LABELLED, Changes: []string{"group"}})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if n := small.client.XLen(t.Context(), computerAudit("rack")).Val(); n != 2 {
		t.Fatalf("a computer keeps %d entries, want 2", n)
	}
	young := begin(t, s.redis, Limits{AuditAge: time.Nanosecond})
	expect(t, "what is too old", told(t, young, AuditQuery{Tree: quiet}))
	change(t, young, bangUnder(quiet, "later", nil))
	if n := young.client.XLen(t.Context(), keysOfTree(quiet).audit).Val(); n > 1 {
		t.Fatalf("%d entries are left, of which at most one is young enough", n)
	}
}
