package golden

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write what tests compare with anew; read the difference before you commit it")

// Updating tells whether the files are written and not compared with.
func Updating() bool { return *update }

// Compare compares what a test made with a file, or writes the file.
func Compare(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s tells another story; go test -update shows it in the difference. It is now:\n%s", path, got)
	}
}
