package check

import (
	"os"
	"testing"
)

// The rules hold in this repository.
func TestRepository(t *testing.T) {
	r, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, f := range rule.Check(r) {
				t.Error(f)
			}
		})
	}
}
