package terminal

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vow-os/vow/vow/internal/terminal/terminaltest"
)

func TestATerminalIsTakenShowsLinesTellsKeysAndIsGivenBack(t *testing.T) {
	person, program := terminaltest.Pair(t)
	if !Is(program) {
		t.Fatal("a terminal is none")
	}
	before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(program)
	if err != nil {
		t.Fatal(err)
	}
	if width, height := s.Size(); width != 100 || height != 30 {
		t.Errorf("%d × %d", width, height)
	}
	if _, err := person.WriteString("\x1b[Aq\x1b[6~"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Key{Up, "q", PageDown} {
		if got := <-s.Keys; got != want {
			t.Errorf("got the key %q, want %q", got, want)
		}
	}
	if err := s.Draw([]string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, open := <-s.Keys; open {
		t.Error("a key after the end")
	}
	var seen strings.Builder
	buffer := make([]byte, 1000)
	for !strings.Contains(seen.String(), "\x1b[?1049l") {
		n, err := person.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(buffer[:n])
	}
	if !strings.Contains(seen.String(), "\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J") {
		t.Errorf("seen: %q", seen.String())
	}
	after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %+v, %+v, %v", before, after, err)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if Is(file) {
		t.Error("a file is a terminal")
	}
	if _, err := Open(file); err == nil || !strings.HasPrefix(err.Error(), "cannot use the terminal: ") {
		t.Errorf("open a file: %v", err)
	}
}
