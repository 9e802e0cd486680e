package page

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/backoff"
	"github.com/vow-os/vow/kit/human"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/telemetry/conv"
)

// Pace of a live page.
const (
	// tickEvery makes it again without a hint: ages grow, and promises change without a colour that does.
	tickEvery = 10 * time.Second
	// restBetween is the least time between two updates of one page; one that takes long to make rests ten times as long.
	restBetween = 250 * time.Millisecond
	// writeTimeout cuts a browser that does not read.
	writeTimeout = 10 * time.Second
	// firstLater and lastLater bound when a page that was refused asks again.
	firstLater = 2 * time.Second
	lastLater  = time.Minute
	// reconnectAfter is when a page asks again whose stream broke off.
	reconnectAfter = 500 * time.Millisecond
)

// stream sends a page again whenever it has changed, until the browser goes away.
func (s *Site) stream(w http.ResponseWriter, r *http.Request, make maker) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		s.limits.Add(r.Context(), 1, conv.LimitName.String("live_pages"))
		s.later(w, r, fmt.Sprintf("the console keeps %d pages live, which is its most (--max-live)", cap(s.streams)))
		return
	}
	v, err := s.make(r, make)
	switch {
	case rpc.IsRetryable(err):
		s.later(w, r, err.Error())
		return
	case err != nil:
		s.fail(w, r, err)
		return
	case v.Topic == "":
		http.Error(w, "cannot keep this page live: nothing on it changes", http.StatusNotFound)
		return
	}
	subscription := s.Hub.Subscribe(v.Topic, v.About)
	defer subscription.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	out := &events{w: w, control: http.NewResponseController(w)}
	if err := out.again("", reconnectAfter); err != nil {
		return
	}
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	var sent []byte
	for {
		began := time.Now()
		if err := s.update(out, r, make, &sent); err != nil {
			return // whoever looked is gone
		}
		rest := time.NewTimer(max(restBetween, 10*time.Since(began)))
		if !s.wait(r, rest.C) {
			rest.Stop()
			return
		}
		select {
		case <-subscription.C:
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.Stopping:
			return
		}
	}
}

// later says why a page is not kept up to date, and when it asks again: each time after twice as long. How often it was told so is in the id of the event, which it sends with the next request. An
// answer that is no stream would be its last: a browser does not ask again then.
func (s *Site) later(w http.ResponseWriter, r *http.Request, why string) {
	told, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // anything else counts as none
	told = min(max(told, 0), 100) + 1
	delay := backoff.Nominal(told, firstLater, lastLater)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Retry-After", strconv.Itoa(int(delay.Seconds())))
	out := &events{w: w, control: http.NewResponseController(w)}
	if out.again(strconv.Itoa(told), delay) == nil {
		_ = out.send("away", oneLine(why+"; it asks again in about "+human.Span(delay))) // whoever looked may be gone
	}
}

func oneLine(text string) []byte { return []byte(strings.Join(strings.Fields(text), " ")) }

// wait until the time is up; false when nobody looks any more.
func (s *Site) wait(r *http.Request, until <-chan time.Time) bool {
	select {
	case <-until:
		return true
	case <-r.Context().Done():
		return false
	case <-s.Stopping:
		return false
	}
}

// update makes the page and sends it if it differs from what was sent. When it cannot be made, what is shown stays, and is told to be old.
func (s *Site) update(out *events, r *http.Request, make maker, sent *[]byte) error {
	v, err := s.make(r, make)
	if err != nil {
		*sent = nil
		return out.send("away", oneLine(err.Error()))
	}
	body, err := s.templates.main(shellOf(v, r, "", s.Now()))
	if err != nil {
		return err
	}
	if bytes.Equal(body, *sent) {
		return out.comment()
	}
	*sent = body
	return out.send("", body)
}

// events writes server-sent events.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (e *events) send(name string, data []byte) error {
	var message bytes.Buffer
	if name != "" {
		message.WriteString("event: " + name + "\n")
	}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		message.WriteString("data: ")
		message.Write(bytes.TrimRight(line, "\r"))
		message.WriteByte('\n')
	}
	message.WriteByte('\n')
	return e.write(message.Bytes())
}

// again says when to ask again once the stream ends, and with which id. It is a part of the event that is sent next.
func (e *events) again(id string, after time.Duration) error {
	return e.write(fmt.Appendf(nil, "id: %s\nretry: %d\n", id, after.Milliseconds()))
}

// comment keeps what is between us and the browser from cutting a silent stream.
func (e *events) comment() error { return e.write([]byte(": \n\n")) }

func (e *events) write(data []byte) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := e.w.Write(data); err != nil {
		return err
	}
	return e.control.Flush()
}
