package app_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/kit/store/storetest"
)

// A replica that is told to go while the store fails over, and has a contact that it cannot write, goes without an error: the program ends with 0.
func TestAStopDuringAFailOverIsNoFault(t *testing.T) {
	server := storetest.StartRedis(t)
	m := start(t, server.Open(t), nil)
	m.register("one", 1)
	client := server.Client()
	t.Cleanup(func() { _ = client.Close() })
	if err := client.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil { // it refuses writes from now on
		t.Fatal(err)
	}
	must[*masterv1.ReportContactsResponse](m)(m.links.ReportContacts(t.Context(), &masterv1.ReportContactsRequest{Contacts: []*masterv1.Contact{{Computer: "one", At: timestamppb.New(time.Now())}}}))
	if err := m.app.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
