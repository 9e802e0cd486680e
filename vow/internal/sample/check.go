package sample

import (
	"context"
	"net/http"
	"time"
)

// checkTimeout bounds a check; a promise may take 20 s, but a service on loopback that needs 2 s is broken.
const checkTimeout = 2 * time.Second

// Check asks a service once and says what is wrong with it.
func Check(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return ask(ctx, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, url)
}
