package ops

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"

	"github.com/creditpay/creditpay/pkg/jobs"
)

// ListStoppedJobs returns the timers that reached their bound, service by service.
func (s *Server) ListStoppedJobs(ctx context.Context, req *opsv1.ListStoppedJobsRequest) (*opsv1.ListStoppedJobsResponse, error) {
	size := int(req.GetPageSize())
	if size == 0 {
		size = pageDefault
	}
	res := &opsv1.ListStoppedJobsResponse{}
	for _, x := range s.services {
		list, err := jobs.ListStopped(ctx, x.Kit.DB, size)
		if err != nil {
			return nil, err
		}
		for _, j := range list {
			res.Jobs = append(res.Jobs, &opsv1.StoppedJob{Service: x.Name(), Kind: j.Kind, Key: j.Key, Faults: int32(min(j.Faults, 1<<30)),
				FirstTime: timestamppb.New(j.FirstTime), StopTime: timestamppb.New(j.StopTime), LastError: j.LastError})
		}
	}
	return res, nil
}

// RetryStoppedJob puts a stopped timer on again.
func (s *Server) RetryStoppedJob(ctx context.Context, req *opsv1.RetryStoppedJobRequest) (*opsv1.RetryStoppedJobResponse, error) {
	x, err := s.find(req.GetService())
	if err != nil {
		return nil, err
	}
	_, places := x.Timers()
	err = jobs.Restart(ctx, x.Kit.DB, x.Kit.Jobs, places, req.GetKind(), req.GetKey(), x.Kit.Clock.Now())
	return &opsv1.RetryStoppedJobResponse{}, err
}

// DismissStoppedJob takes a stopped timer off the list.
func (s *Server) DismissStoppedJob(ctx context.Context, req *opsv1.DismissStoppedJobRequest) (*opsv1.DismissStoppedJobResponse, error) {
	x, err := s.find(req.GetService())
	if err != nil {
		return nil, err
	}
	return &opsv1.DismissStoppedJobResponse{}, jobs.Dismiss(ctx, x.Kit.DB, req.GetKind(), req.GetKey())
}
