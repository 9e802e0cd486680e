package sample

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAServiceAnswersOnlyWhileItsBackendsDo(t *testing.T) {
	backend := httptest.NewServer(handler(Service{Name: "store"}))
	front := httptest.NewServer(handler(Service{Name: "web", Backends: []string{backend.URL}}))
	defer front.Close()

	if err := Check(t.Context(), front.URL); err != nil {
		t.Fatalf("with its backend up: %v", err)
	}
	backend.Close()
	err := Check(t.Context(), front.URL)
	if err == nil || !strings.Contains(err.Error(), "503") {
		t.Fatalf("with its backend down: %v, want 503", err)
	}
}

func TestACheckNamesWhatItCannotReach(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	listener.Close()
	err = Check(t.Context(), url)
	if err == nil || !strings.Contains(err.Error(), url) {
		t.Fatalf("got %v, want an error that names %s", err, url)
	}
}

func TestAServiceRefusesAddressesBeyondTheMachine(t *testing.T) {
	for _, s := range []Service{{Address: "0.0.0.0", Port: 1}, {Address: "192.0.2.1", Port: 1}, {Address: "localhost", Port: 1}, {Address: "127.0.0.1", Port: 0}} {
		if err := Serve(context.Background(), s); err == nil {
			t.Errorf("%+v was served", s)
		}
	}
}
