package page

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	promisev1 "github.com/vow-os/vow/gen/vow/promise/v1"
	schedulerv1 "github.com/vow-os/vow/gen/vow/scheduler/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/kit/rpc"
)

// What an action may last, in hours: a year, and the 30 days of PauseRequest.
const (
	maxMuted  = 8760
	maxPaused = 720
)

// action is something that a person may do: what is asked before, and what is done.
type action struct {
	// Verb on the button; Says what it will do, of the thing that is named.
	Verb, Says string
	// Reason and Who: which fields the form has; Required: they must be filled in.
	Reason, Who, Required bool
	// Hours is for how many hours it may be asked at most; 0 = it has no end.
	Hours int
	// Typed is true when the name of the thing must be typed: it cannot be undone.
	Typed bool
	// Danger colours the button.
	Danger bool
	// do it, and say where its effect is seen.
	do func(ctx context.Context, s *Site, f form) (string, error)
}

// form is a confirmed action. Thing is an id or a name, Title what people call it.
type form struct {
	Thing, Title, Promise, Reason, By, RequestID string
	Hours                                        time.Duration
}

// actions by the last part of their URL.
func actions() map[string]action {
	setState := func(state typev1.RequestedState) func(context.Context, *Site, form) (string, error) {
		return func(ctx context.Context, s *Site, f form) (string, error) {
			_, err := s.Fleet.Instances.SetInstanceState(ctx, &masterv1.SetInstanceStateRequest{InstanceId: f.Thing, State: state, RequestId: f.RequestID})
			return "/trees/" + idOfTree(f.Thing), err
		}
	}
	return map[string]action{
		"bang": {Verb: "Bang", Says: "Every partition of the tree runs again, until all promises hold. Nothing is stopped for it.", Reason: true, Who: true, do: bang},
		"start": {
			Verb: "Start", Says: "Its services are started, and its promises are tested; of a root, those of all that it requested too.",
			do: setState(typev1.RequestedState_REQUESTED_STATE_STARTED),
		},
		"stop": {
			Verb: "Stop", Danger: true, Says: "Its services are stopped; of a root, those of all that it requested too. Data stays.",
			do: setState(typev1.RequestedState_REQUESTED_STATE_STOPPED),
		},
		"destroy": {
			Verb: "Destroy", Danger: true, Typed: true, Says: "Its services are stopped and its data is removed, at the end of its retention delay; of a root, that of all that it requested too. This cannot be undone.",
			do: setState(typev1.RequestedState_REQUESTED_STATE_DESTROYED),
		},
		"run": {Verb: "Run now", Says: "One run of this partition is due now.", do: runNow},
		"pause-tree": {Verb: "Pause", Danger: true, Reason: true, Who: true, Hours: maxPaused, Says: "No orders for the partitions of this tree, whatever happens, until the time is over or it is resumed. Services and promises go on.", do: func(ctx context.Context, s *Site, f form) (string, error) {
			_, err := s.Fleet.Agenda.Pause(ctx, &schedulerv1.PauseRequest{Target: &schedulerv1.PauseRequest_TreeId{TreeId: f.Thing}, Reason: f.Reason, By: f.By, Duration: durationpb.New(f.Hours)})
			return "/trees/" + f.Thing, err
		}},
		"resume-tree": {Verb: "Resume", Who: true, Says: "Orders flow again; what became due meanwhile runs.", do: func(ctx context.Context, s *Site, f form) (string, error) {
			_, err := s.Fleet.Agenda.Resume(ctx, &schedulerv1.ResumeRequest{Target: &schedulerv1.ResumeRequest_TreeId{TreeId: f.Thing}, By: f.By})
			return "/trees/" + f.Thing, err
		}},
		"pause-computer": {Verb: "Pause", Danger: true, Reason: true, Who: true, Hours: maxPaused, Says: "No orders to this computer, whatever happens, until the time is over or it is resumed. Services and promises go on.", do: func(ctx context.Context, s *Site, f form) (string, error) {
			_, err := s.Fleet.Agenda.Pause(ctx, &schedulerv1.PauseRequest{Target: &schedulerv1.PauseRequest_Computer{Computer: f.Thing}, Reason: f.Reason, By: f.By, Duration: durationpb.New(f.Hours)})
			return "/computers/" + url.PathEscape(f.Thing), err
		}},
		"resume-computer": {Verb: "Resume", Who: true, Says: "Orders flow again; what became due meanwhile runs.", do: func(ctx context.Context, s *Site, f form) (string, error) {
			_, err := s.Fleet.Agenda.Resume(ctx, &schedulerv1.ResumeRequest{Target: &schedulerv1.ResumeRequest_Computer{Computer: f.Thing}, By: f.By})
			return "/computers/" + url.PathEscape(f.Thing), err
		}},
		"mute": {Verb: "Mute", Reason: true, Who: true, Required: true, Hours: maxMuted, Says: "Until then the promise stays visible, does not bang, and fails no run.", do: func(ctx context.Context, s *Site, f form) (string, error) {
			_, err := s.Fleet.Promises.MutePromise(ctx, &promisev1.MutePromiseRequest{
				AllocationId: f.Thing, Promise: f.Promise, Reason: f.Reason, By: f.By, Until: timestamppb.New(s.Now().Add(f.Hours)),
			})
			return promiseURL(f), err
		}},
		"unmute": {Verb: "Unmute", Who: true, Reason: true, Says: "The promise bangs and fails runs again.", do: func(ctx context.Context, s *Site, f form) (string, error) {
			_, err := s.Fleet.Promises.UnmutePromise(ctx, &promisev1.UnmutePromiseRequest{AllocationId: f.Thing, Promise: f.Promise, Reason: f.Reason, By: f.By})
			return promiseURL(f), err
		}},
	}
}

func promiseURL(f form) string {
	return "/promises/" + url.PathEscape(f.Thing) + "/" + url.PathEscape(f.Promise)
}

// bang a tree; what comes of it is its convergence.
func bang(ctx context.Context, s *Site, f form) (string, error) {
	answer, err := s.Fleet.Bangs.Bang(ctx, &masterv1.BangRequest{
		RequestId: f.RequestID, Target: &masterv1.BangRequest_TreeId{TreeId: f.Thing}, Origin: typev1.BangOrigin_BANG_ORIGIN_MANUAL, Source: f.By, Message: f.Reason,
	})
	if err != nil {
		return "", err
	}
	for _, result := range answer.GetResults() {
		if id := result.GetConvergenceId(); id != "" {
			return "/convergences/" + id, nil
		}
	}
	return "/trees/" + idOfTree(f.Thing) + "/bangs", nil
}

// runNow is of COMPUTER/PARTITION.
func runNow(ctx context.Context, s *Site, f form) (string, error) {
	computer, partition, _ := strings.Cut(f.Thing, "/")
	_, err := s.Fleet.Agenda.RunNow(ctx, &schedulerv1.RunNowRequest{RequestId: f.RequestID, Computer: computer, Partition: partition})
	return "/computers/" + url.PathEscape(computer), err
}

// confirmation is the page that asks.
type confirmation struct {
	action
	Name, Thing, Title, Promise, RequestID, Back, Problem string
}

// confirmPage asks whether it is meant. The request id is made here, so that sending the form twice does it once.
func (s *Site) confirmPage(_ context.Context, r *http.Request, _ time.Time) (view, error) {
	return s.confirm(r, "")
}

func (s *Site) confirm(r *http.Request, problem string) (view, error) {
	a, ok := actions()[r.PathValue("verb")]
	if !ok {
		return view{}, notFound("cannot find the action %q", r.PathValue("verb"))
	}
	thing := r.FormValue("thing")
	if thing == "" || len(thing) > maxQuery {
		return view{}, rpc.Errorf(rpc.CodeInvalidArgument, "cannot %s: of what?", r.PathValue("verb"))
	}
	title := r.FormValue("title")
	if title == "" {
		title = thing
	}
	c := confirmation{action: a, Name: r.PathValue("verb"), Thing: thing, Title: title, Promise: r.FormValue("promise"), RequestID: rand.Text(), Back: back(r), Problem: problem}
	return view{Title: a.Verb + " " + title, Name: "confirm", Page: c}, nil
}

// back is the page that the person came from, if it is ours.
func back(r *http.Request) string {
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host || !strings.HasPrefix(from.Path, "/") || strings.HasPrefix(from.Path, "//") {
		return "/"
	}
	return from.EscapedPath()
}

// act does what was confirmed, and shows where its effect is seen.
func (s *Site) act(w http.ResponseWriter, r *http.Request) {
	again := func(problem string, status int) {
		v, err := s.confirm(r, problem)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		v.Status = status
		s.write(w, r, v)
	}
	cookie, err := r.Cookie(tokenCookie)
	if err != nil || len(cookie.Value) < 20 || subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(r.PostFormValue("token"))) != 1 {
		again("This form was not sent by a page of this console, or cookies are off. Look again at what it does, and confirm it here.", http.StatusForbidden)
		return
	}
	a, ok := actions()[r.PathValue("verb")]
	if !ok {
		s.fail(w, r, notFound("cannot find the action %q", r.PathValue("verb")))
		return
	}
	f := form{
		Thing: r.PostFormValue("thing"), Title: r.PostFormValue("title"), Promise: r.PostFormValue("promise"), Reason: strings.TrimSpace(r.PostFormValue("reason")),
		By: strings.TrimSpace(r.PostFormValue("by")), RequestID: r.PostFormValue("request_id"),
	}
	if a.Typed && strings.TrimSpace(r.PostFormValue("typed")) != f.Title {
		again("The name that you typed is not that of "+f.Title+".", http.StatusBadRequest)
		return
	}
	if a.Hours > 0 {
		if f.Hours, err = time.ParseDuration(r.PostFormValue("hours") + "h"); err != nil || f.Hours <= 0 || f.Hours > time.Duration(a.Hours)*time.Hour {
			again("For how many hours? At most "+strconv.Itoa(a.Hours)+".", http.StatusBadRequest)
			return
		}
	}
	if f.By == "" {
		f.By = "console"
	}
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	to, err := a.do(ctx, s, f)
	// Ids only: titles and reasons are people's words.
	s.Telemetry.Log.InfoContext(ctx, "action", "action", r.PathValue("verb"), "thing", f.Thing, "request_id", f.RequestID, "error", err)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
