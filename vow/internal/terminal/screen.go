package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Key is one that somebody pressed.
type Key string

// The keys that are told by a name; others by their character.
const (
	Up       Key = "up"
	Down     Key = "down"
	PageUp   Key = "page up"
	PageDown Key = "page down"
	Home     Key = "home"
)

// sequences of the keys, as xterm and those after it send them.
var sequences = map[string]Key{
	"\x1b[A": Up, "\x1bOA": Up, "\x1b[B": Down, "\x1bOB": Down, "\x1b[5~": PageUp, "\x1b[6~": PageDown, "\x1b[H": Home, "\x1bOH": Home, "\x1b[1~": Home,
}

// Screen is a terminal that shows lines.
type Screen struct {
	// Keys are those that were pressed; closed when the terminal is gone.
	Keys <-chan Key
	// Resized gets a value when the size has changed.
	Resized <-chan os.Signal

	tty     *os.File
	before  unix.Termios
	resized chan os.Signal
	stop    *os.File // closing it ends the reading of keys
	reading sync.WaitGroup
}

// Is says whether a file is a terminal that can be read too.
func Is(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE == unix.O_RDWR
}

// Open takes a terminal: its other screen, without a cursor, keys without Enter. The keys are read where the lines are written, so that another standard input is left alone.
func Open(tty *os.File) (*Screen, error) {
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("cannot use the terminal: %w", err)
	}
	stopped, stop, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot use the terminal: %w", err)
	}
	set := *before
	set.Lflag &^= unix.ICANON | unix.ECHO
	set.Oflag |= unix.OPOST | unix.ONLCR
	set.Cc[unix.VMIN], set.Cc[unix.VTIME] = 1, 0
	set.Cc[unix.VSUSP] = 0 // a stopped process would leave the terminal as it is now
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &set); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the terminal: %w", err), stopped.Close(), stop.Close())
	}
	keys, resized := make(chan Key, 16), make(chan os.Signal, 1)
	s := &Screen{Keys: keys, Resized: resized, tty: tty, before: *before, resized: resized, stop: stop}
	signal.Notify(resized, unix.SIGWINCH)
	s.reading.Go(func() {
		defer stopped.Close()
		defer close(keys)
		s.read(int(stopped.Fd()), keys)
	})
	if _, err := tty.WriteString("\x1b[?1049h\x1b[?25l\x1b[2J"); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write to the terminal: %w", err), s.Close())
	}
	return s, nil
}

// read tells the keys until the terminal is gone or the screen is closed.
func (s *Screen) read(stopped int, keys chan<- Key) {
	fd := int(s.tty.Fd())
	buffer := make([]byte, 64)
	for {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(stopped), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil || ready[1].Revents != 0 {
			return
		}
		n, err := unix.Read(fd, buffer)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		for _, key := range parse(string(buffer[:n])) {
			select {
			case keys <- key:
			default: // nobody looks: whoever holds a key down gets no further than what is drawn
			}
		}
	}
}

// parse tells the keys of what was read.
func parse(text string) (keys []Key) {
next:
	for text != "" {
		for sequence, key := range sequences {
			if len(text) >= len(sequence) && text[:len(sequence)] == sequence {
				keys, text = append(keys, key), text[len(sequence):]
				continue next
			}
		}
		keys, text = append(keys, Key(text[:1])), text[1:]
	}
	return keys
}

// Size is how many columns and lines there are.
func (s *Screen) Size() (width, height int) {
	size, err := unix.IoctlGetWinsize(int(s.tty.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}

// Draw shows lines, over those that were shown.
func (s *Screen) Draw(lines []string) error {
	var all bytes.Buffer
	all.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			all.WriteString("\n")
		}
		all.WriteString(line + "\x1b[K")
	}
	all.WriteString("\x1b[J")
	if _, err := s.tty.Write(all.Bytes()); err != nil {
		return fmt.Errorf("cannot write to the terminal: %w", err)
	}
	return nil
}

// Close gives the terminal back as it was.
func (s *Screen) Close() error {
	signal.Stop(s.resized)
	_ = s.stop.Close() // the reader sees its end
	s.reading.Wait()
	_, written := s.tty.WriteString("\x1b[?25h\x1b[?1049l")
	return errors.Join(written, unix.IoctlSetTermios(int(s.tty.Fd()), unix.TCSETS, &s.before))
}
