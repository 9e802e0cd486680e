package redisstore

import (
	"fmt"
	"testing"
	"time"

	storev1 "github.com/vow-os/vow/gen/vow/store/v1"
)

// Contacts of more computers than one pipeline carries are all written, the newest of each, and each computer that was silent is told to those who watch.
func TestContactsAreWrittenTogether(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const computers = contactsAtOnce + 1
		name := func(n int) string { return fmt.Sprint("c", n) }
		for n := range computers {
			_, err := s.ChangeComputer(t.Context(), name(n), func(c *Computer) error {
				c.Record = &storev1.ComputerRecord{Cpus: 1}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		watch := s.Subscribe(Interest{Computers: true})
		defer watch.Close()
		first, second := time.Now().Add(-time.Minute).UTC().Truncate(time.Microsecond), time.Now().UTC().Truncate(time.Microsecond)
		for _, at := range []time.Time{first, second} {
			for n := range computers {
				s.Contacted(name(n), at)
				s.Contacted(name(n), at.Add(-time.Second))
			}
			s.Contacted("nobody", at)
			if err := s.FlushContacts(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []int{0, contactsAtOnce - 1, contactsAtOnce} {
			c, err := s.Computer(t.Context(), name(n))
			if err != nil {
				t.Fatal(err)
			}
			if !c.Contact.Equal(second) {
				t.Errorf("the contact of %s is %v, want the newest, %v", name(n), c.Contact, second)
			}
		}
		if _, err := s.Computer(t.Context(), "nobody"); !isNotFound(err) {
			t.Errorf("a contact of an unknown computer made it: %v", err)
		}
		told := map[string]bool{}
		news, _ := watch.Take()
		for _, name := range news.Computers {
			told[name] = true
		}
		if len(told) != computers {
			t.Errorf("%d computers were told to be heard of for the first time, want %d", len(told), computers)
		}
	})
}
