package notifier

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/vow-os/vow/console/notify"
)

// receiver is somebody who is told.
type receiver interface {
	// send gives it a message; a refusedError is for good.
	send(ctx context.Context, m notify.Message, now time.Time) error
}

// refusedError is that a receiver will not take a message however often it is sent.
type refusedError struct{ err error }

func (r refusedError) Error() string { return r.err.Error() }
func (r refusedError) Unwrap() error { return r.err }

// webhook takes a POST of JSON.
type webhook struct {
	Name       string `json:"name"`
	URL        string `json:"url"`
	URLFile    string `json:"url_file"`
	SecretFile string `json:"secret_file"`
}

// hooks follows no redirect: a signed message is for whom it was signed.
var hooks = http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (w webhook) send(ctx context.Context, m notify.Message, now time.Time) error {
	target := w.URL
	if w.URLFile != "" {
		var err error
		if target, err = secret(w.URLFile); err == nil {
			err = checkURL(target)
		}
		if err != nil {
			return fmt.Errorf("cannot read the URL: %w", err)
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot write the message: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return errors.New("cannot call the URL") // the error repeats it
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "vow-console")
	request.Header.Set("Vow-Delivery", m.ID)
	if w.SecretFile != "" {
		key, err := secret(w.SecretFile)
		if err != nil {
			return fmt.Errorf("cannot read the secret: %w", err)
		}
		request.Header.Set("Vow-Signature", sign(key, body, now))
	}
	response, err := hooks.Do(request)
	if err != nil {
		var withURL *url.Error
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		return fmt.Errorf("cannot call it: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection is used again
	switch status := response.StatusCode; {
	case status/100 == 2:
		return nil
	case status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return refusedError{fmt.Errorf("it answered %s", response.Status)}
	default:
		return fmt.Errorf("it answered %s", response.Status)
	}
}

// sign is the signature of a body at a time, which keeps an old message from being sent again by somebody else.
func sign(key string, body []byte, now time.Time) string {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
