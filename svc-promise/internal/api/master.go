package api

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/svc-promise/internal/alarm"
)

// Master is svc-master as svc-promise sees it.
type Master struct {
	bangs masterv1connect.BangServiceClient
	links masterv1connect.LinkServiceClient
	audit masterv1connect.AuditServiceClient
}

var _ alarm.Teller = (*Master)(nil)

// NewMaster makes the client.
func NewMaster(c *rpc.Client) *Master {
	return &Master{
		bangs: masterv1connect.NewBangServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		links: masterv1connect.NewLinkServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
		audit: masterv1connect.NewAuditServiceClient(c.HTTP(), c.BaseURL(), c.Options()...),
	}
}

// Bang tells one anomaly. It is idempotent by (allocation, promise, last successful run, run in progress).
func (m *Master) Bang(ctx context.Context, b alarm.Bang) error {
	_, err := m.bangs.Bang(ctx, &masterv1.BangRequest{
		Target: &masterv1.BangRequest_AllocationId{AllocationId: b.Allocation}, Origin: typev1.BangOrigin_BANG_ORIGIN_PROMISE, Source: b.Promise, Message: b.Message,
		LastSuccessRunId: b.Runs.LastSuccess, RunInProgress: b.Runs.InProgress, NoticedAt: timestamppb.New(b.At), NotAllowed: b.NotAllowed,
	})
	if err != nil {
		return fmt.Errorf("cannot bang: %w", err)
	}
	return nil
}

// Retryable says whether an error may pass.
func (*Master) Retryable(err error) bool { return rpc.IsRetryable(err) }

// Decided says whether an error is svc-master's word on the bang, rather than a fault of its own.
func (*Master) Decided(err error) bool {
	switch rpc.CodeOf(err) {
	case rpc.CodeFailedPrecondition, rpc.CodeNotFound, rpc.CodeResourceExhausted, rpc.CodeInvalidArgument:
		return true
	}
	return false
}

func (m *Master) reportContacts(ctx context.Context, contacts []*masterv1.Contact) error {
	_, err := m.links.ReportContacts(ctx, &masterv1.ReportContactsRequest{Contacts: contacts})
	return err
}
