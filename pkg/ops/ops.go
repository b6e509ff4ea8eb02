// Package ops owns the operator's doors of a process: dead letters and outbox of the services that it hosts, and the development
// clock.
//
// It must not know a service.
package ops

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/inbox"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/spine"
)

// Advance moves the process's clock forward and gives its new time.
type Advance func(d time.Duration) (time.Time, error)

// Server serves creditpay.ops.v1.OpsService.
type Server struct {
	opsv1.UnsafeOpsServiceServer
	services []*spine.Spine
	advance  Advance
}

// New makes a server for the services of this process. A nil advance refuses AdvanceClock: production has no such clock.
func New(advance Advance, services ...*spine.Spine) *Server {
	return &Server{services: services, advance: advance}
}

func (s *Server) find(name string) (*spine.Spine, error) {
	var names []string
	for _, x := range s.services {
		if x.Name() == name {
			return x, nil
		}
		names = append(names, x.Name())
	}
	return nil, errs.NotFound.New("this process hosts no service %q; it hosts %s", name, strings.Join(names, ", "))
}

const pageDefault = 100

// ListDeadLetters gives the dead letters of one service, or of all in turn.
func (s *Server) ListDeadLetters(ctx context.Context, req *opsv1.ListDeadLettersRequest) (*opsv1.ListDeadLettersResponse, error) {
	services := s.services
	if req.GetService() != "" {
		one, err := s.find(req.GetService())
		if err != nil {
			return nil, err
		}
		services = []*spine.Spine{one}
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = pageDefault
	}
	from, below, err := readToken(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	res := &opsv1.ListDeadLettersResponse{}
	for _, x := range services {
		if from != "" && x.Name() != from {
			continue
		}
		from = ""
		room := size - len(res.DeadLetters)
		letters, err := inbox.ListDeadLetters(ctx, x.Kit.DB, below, inbox.Replayed(req.GetIncludeReplayed()), room)
		if err != nil {
			return nil, err
		}
		below = ids.ID{}
		for _, d := range letters {
			res.DeadLetters = append(res.DeadLetters, deadLetter(x.Name(), d))
		}
		if len(letters) == room {
			res.NextPageToken = writeToken(x.Name(), letters[len(letters)-1].ID)
			break
		}
	}
	return res, nil
}

func deadLetter(service string, d inbox.DeadLetter) *opsv1.DeadLetter {
	m := &opsv1.DeadLetter{DeadLetterId: ids.Format(ids.DeadLetter, d.ID), Service: service, Topic: d.Topic, EventId: d.EventID, Key: d.Key,
		Type: d.Type, Error: d.Error, Attempts: int32(min(d.Attempts, 1<<30)), CreateTime: timestamppb.New(d.CreateTime)}
	if !d.ReplayTime.IsZero() {
		m.ReplayTime = timestamppb.New(d.ReplayTime)
	}
	return m
}

func writeToken(service string, id ids.ID) string {
	return base64.RawURLEncoding.EncodeToString([]byte(service + " " + id.String()))
}

func readToken(token string) (service string, below ids.ID, err error) {
	if token == "" {
		return "", ids.ID{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		var text string
		service, text, _ = strings.Cut(string(raw), " ")
		if err = below.UnmarshalText([]byte(text)); err == nil {
			return service, below, nil
		}
	}
	return "", ids.ID{}, errs.PageTokenInvalid.Wrap(err, "the page token is not one of this list; start from the first page")
}

// ReplayDeadLetters gives dead letters to their handlers again.
func (s *Server) ReplayDeadLetters(ctx context.Context, req *opsv1.ReplayDeadLettersRequest) (*opsv1.ReplayDeadLettersResponse, error) {
	res := &opsv1.ReplayDeadLettersResponse{}
	for _, text := range req.GetDeadLetterIds() {
		r := &opsv1.ReplayResult{DeadLetterId: text}
		if err := s.replay(ctx, text); err != nil {
			r.Error = err.Error()
		}
		res.Results = append(res.Results, r)
	}
	return res, nil
}

func (s *Server) replay(ctx context.Context, text string) error {
	id, err := ids.Parse(ids.DeadLetter, text)
	if err != nil {
		return errs.InvalidArgument.Wrap(err, "%q is not a dead letter's id", text)
	}
	for _, x := range s.services {
		if x.Consumer() == nil {
			continue
		}
		err := x.Consumer().Replay(ctx, id)
		if !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	return errs.NotFound.New("no such dead letter in this process")
}

// ReplayOutbox marks a service's events to be sent again.
func (s *Server) ReplayOutbox(ctx context.Context, req *opsv1.ReplayOutboxRequest) (*opsv1.ReplayOutboxResponse, error) {
	x, err := s.find(req.GetService())
	if err != nil {
		return nil, err
	}
	var from time.Time
	if req.GetFromTime() != nil {
		from = req.GetFromTime().AsTime()
	}
	n, err := outbox.Replay(ctx, x.Kit.DB, from)
	if err != nil {
		return nil, err
	}
	return &opsv1.ReplayOutboxResponse{Events: n}, nil
}

// AdvanceClock moves the development clock.
func (s *Server) AdvanceClock(_ context.Context, req *opsv1.AdvanceClockRequest) (*opsv1.AdvanceClockResponse, error) {
	if s.advance == nil {
		return nil, errs.DevelopmentOnly.New("only the development stack has a clock that can be moved")
	}
	now, err := s.advance(req.GetDuration().AsDuration())
	if err != nil {
		return nil, errs.InvalidArgument.Wrap(err, "the clock cannot be moved that far")
	}
	return &opsv1.AdvanceClockResponse{Now: timestamppb.New(now)}, nil
}
