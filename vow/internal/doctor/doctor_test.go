package doctor

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	examinev1 "github.com/vow-os/vow/gen/vow/examine/v1"
	"github.com/vow-os/vow/gen/vow/examine/v1/examinev1connect"
	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	"github.com/vow-os/vow/gen/vow/master/v1/masterv1connect"
	nodev1 "github.com/vow-os/vow/gen/vow/node/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	"github.com/vow-os/vow/gen/vow/promise/v1/promisev1connect"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	"github.com/vow-os/vow/gen/vow/scheduler/v1/schedulerv1connect"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
	"github.com/vow-os/vow/kit/rpc/rpctest"
	"github.com/vow-os/vow/vow/internal/client"
	"github.com/vow-os/vow/vow/internal/endpoint"
)

// planted are secrets of a tree, and nested one in the JSON object of its parameters.
const (
	planted = "hunter2-planted"
	nested  = `"quoted" and nested`
)

// control answers as all services of a small fleet do.
type control struct {
	masterv1connect.UnimplementedComputerServiceHandler
	masterv1connect.UnimplementedTreeServiceHandler
	masterv1connect.UnimplementedSoftwareServiceHandler
	masterv1connect.UnimplementedBangServiceHandler
	masterv1connect.UnimplementedConvergenceServiceHandler
	masterv1connect.UnimplementedAuditServiceHandler
	masterv1connect.UnimplementedLinkServiceHandler
	schedulerv1connect.UnimplementedAgendaServiceHandler
	promisev1connect.UnimplementedPromiseServiceHandler
}

func red(reason string) *typev1.ColourStatus {
	return &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_RED, Reason: reason}
}

func (control) ListComputers(context.Context, *masterv1.ListComputersRequest) (*masterv1.ListComputersResponse, error) {
	return &masterv1.ListComputersResponse{Computers: []*masterv1.Computer{
		{Name: "laptop", Colour: &typev1.ColourStatus{Colour: typev1.Colour_COLOUR_GREEN}, Partitions: []*masterv1.Partition{{Name: "slappart0", Colour: red("login with " + planted + " failed")}}},
		{Name: "attic", Colour: red("no contact for 2h")},
	}}, nil
}

func (control) tree() *masterv1.Tree {
	return &masterv1.Tree{TreeId: "t0123456789ab", Title: "hello", Colour: red("login with " + planted + " failed"), Instances: []*masterv1.Instance{{
		InstanceId: "t0123456789ab.i1", Title: "web", Computer: "laptop", Partition: "slappart0", SoftwareRelease: "https://ann:" + planted + "@example.net/r.cfg",
		Parameters: map[string]string{"_": `{"depth": {"password": "\"quoted\" and nested"}, "port": 80}`}, ConnectionParameters: map[string]string{"password": planted},
	}}}
}

func (c control) ListTrees(context.Context, *masterv1.ListTreesRequest) (*masterv1.ListTreesResponse, error) {
	return &masterv1.ListTreesResponse{Trees: []*masterv1.Tree{c.tree()}}, nil
}

func (c control) GetTree(context.Context, *masterv1.GetTreeRequest) (*masterv1.GetTreeResponse, error) {
	return &masterv1.GetTreeResponse{Tree: c.tree()}, nil
}

func (control) ListBangs(context.Context, *masterv1.ListBangsRequest) (*masterv1.ListBangsResponse, error) {
	return &masterv1.ListBangsResponse{Bangs: []*masterv1.Bang{{BangId: "t0123456789ab.b1", Message: "login with " + planted}}}, nil
}

func (control) CallNode(_ context.Context, r *masterv1.CallNodeRequest) (*masterv1.CallNodeResponse, error) {
	var answer proto.Message = &nodev1.ListProcessesResponse{Processes: []*nodev1.Process{{Partition: "slappart0", Name: "web"}, {Partition: "slappart9", Name: "stranger"}}}
	if r.GetMethod() == examinev1connect.ExamineServiceExamineProcedure {
		answer = &examinev1.ExamineResponse{Service: "svc-node", Version: "1", Now: timestamppb.Now(), Checks: []*examinev1.Check{{Name: "disk", Verdict: examinev1.Verdict_VERDICT_WARN, Found: "7 MiB free", Advice: "make room"}}}
	}
	encoded, err := proto.Marshal(answer)
	return &masterv1.CallNodeResponse{Response: encoded}, err
}

func (control) StreamNode(_ context.Context, r *masterv1.StreamNodeRequest, stream *connect.ServerStream[masterv1.StreamNodeResponse]) error {
	request := &nodev1.LogsRequest{}
	if err := proto.Unmarshal(r.GetRequest(), request); err != nil {
		return err
	}
	encoded, err := proto.Marshal(&nodev1.LogsResponse{Output: []byte(request.GetProcess() + " begins\nlogin with " + planted + "\nand " + nested + "\n")})
	if err != nil {
		return err
	}
	return stream.Send(&masterv1.StreamNodeResponse{Response: encoded})
}

func (control) ListAgenda(context.Context, *schedulerv1.ListAgendaRequest) (*schedulerv1.ListAgendaResponse, error) {
	return &schedulerv1.ListAgendaResponse{}, nil
}

func (control) ListCrimes(context.Context, *promisev1.ListCrimesRequest) (*promisev1.ListCrimesResponse, error) {
	return &promisev1.ListCrimesResponse{}, nil
}

// examination answers for one service, by a clock that is off.
type examination struct {
	name, version string
	ahead         time.Duration
}

func (e examination) Examine(context.Context, *examinev1.ExamineRequest) (*examinev1.ExamineResponse, error) {
	return &examinev1.ExamineResponse{
		Service: e.name, Version: e.version, Now: timestamppb.New(time.Now().Add(e.ahead)),
		Checks: []*examinev1.Check{{Name: "store: answers", Verdict: examinev1.Verdict_VERDICT_OK, Found: "fine"}, {Name: "store: memory", Verdict: 99, Found: "a verdict of later"}},
	}, nil
}

// serve starts one service, and returns where it is.
func serve(t *testing.T, e examination) string {
	t.Helper()
	return rpctest.Loopback(t, func(server *rpc.Server) {
		o := server.HandlerOptions()
		server.Handle(examinev1connect.NewExamineServiceHandler(e, o...))
		server.Handle(masterv1connect.NewComputerServiceHandler(control{}, o...))
		server.Handle(masterv1connect.NewTreeServiceHandler(control{}, o...))
		server.Handle(masterv1connect.NewSoftwareServiceHandler(control{}, o...))
		server.Handle(masterv1connect.NewBangServiceHandler(control{}, o...))
		server.Handle(masterv1connect.NewConvergenceServiceHandler(control{}, o...))
		server.Handle(masterv1connect.NewAuditServiceHandler(control{}, o...))
		server.Handle(masterv1connect.NewLinkServiceHandler(control{}, o...))
		server.Handle(schedulerv1connect.NewAgendaServiceHandler(control{}, o...))
		server.Handle(promisev1connect.NewPromiseServiceHandler(control{}, o...))
	})
}

func fleet(t *testing.T, e endpoint.Set) *client.Fleet {
	t.Helper()
	f, err := client.New(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// has says whether a report has a finding, by how it begins: `fail clocks svc-promise`.
func has(r *Report, want string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return strings.HasPrefix(strings.Join([]string{f.Verdict, f.About, f.Check, f.Found}, " "), want)
	})
}

// What is down, off, old or not heard of is found, and so is what the services and nodes find of themselves; a verdict that is not known counts as a failure.
func TestTheDoctorFindsWhatIsNotWell(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	master := serve(t, examination{name: "svc-master", version: "1"})
	report := Examine(t.Context(), fleet(t, endpoint.Set{Master: master, Scheduler: gone.Addr().String(), Promise: serve(t, examination{"svc-promise", "2", 90 * time.Second})}), "1")
	for _, want := range []string{
		"ok svc-master answers", "ok svc-master store: answers fine", "fail svc-master store: memory", "fail svc-scheduler port nothing answers at", "fail clocks svc-promise 1m",
		"fail computers contact 1 of 2 are dead: attic", "warn node laptop disk 7 MiB free", "warn versions skew 1: node laptop, svc-master, vow; 2: svc-promise", "warn trees colours 1 of 1 are Red: hello",
	} {
		if !has(report, want) {
			t.Errorf("no finding %q in %+v", want, report.Findings)
		}
	}
	if !report.Failed() || report.Verdict != "fail" {
		t.Errorf("the verdict is %s", report.Verdict)
	}
	hurry, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	report = Examine(hurry, fleet(t, endpoint.Set{Master: silent.Addr().String(), Scheduler: silent.Addr().String(), Promise: master}), "1")
	if took := time.Since(began); took > Within {
		t.Errorf("it took %s with services that hang", took)
	}
	for _, want := range []string{"fail svc-master port something listens at", "fail computers contact they are not known", "fail trees colours they are not known", "ok svc-promise answers", "ok clocks skew 1 agree with this machine"} {
		if !has(report, want) {
			t.Errorf("no finding %q in %+v", want, report.Findings)
		}
	}
}

// unpack reads a bundle, by name.
func unpack(t *testing.T, packed io.Reader) map[string]string {
	t.Helper()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(header.Name, "vow-support/")] = string(text)
	}
}

// A secret is not in a bundle, whether it is a parameter, inside of one, in a URL, in a reason, in a bang or in the output of a service; what is around it is.
func TestABundleHasNoSecrets(t *testing.T) {
	at := serve(t, examination{name: "svc-master", version: "1"})
	f := fleet(t, endpoint.Set{Master: at, Scheduler: at, Promise: at})
	var packed strings.Builder
	if err := Bundle(t.Context(), f, Examine(t.Context(), f, "1"), &packed); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, strings.NewReader(packed.String()))
	for name, text := range files {
		for _, secret := range []string{planted, nested, `\"quoted\" and nested`, `\\\"quoted`} {
			if strings.Contains(name+text, secret) {
				t.Errorf("%s has the secret %s:\n%s", name, secret, text)
			}
		}
	}
	tree := path.Join("trees", "t0123456789ab")
	for name, want := range map[string]string{
		"doctor.json": `"about": "svc-master"`, tree + "/tree.json": `"password"`, tree + "/bangs.json": "login with " + redacted, "computers.json": "login with " + redacted, "agenda.json": "{", "crimes-of-promises.json": "{",
		"nodes/laptop/processes.json": "slappart0", "nodes/laptop/slappart0/web.log": "web begins\nlogin with " + redacted + "\nand " + redacted, "missing.txt": tree + "/audit.json: ",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s is %q, want %q in it", name, files[name], want)
		}
	}
	if log, ok := files["nodes/laptop/slappart9/stranger.log"]; ok {
		t.Errorf("it has the output of a partition whose secrets are not known: %s", log)
	}
}
