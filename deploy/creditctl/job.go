package creditctl

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	opsv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/ops/v1"

	"github.com/creditpay/creditpay/pkg/text"
)

// jobCommand lists timers that were stopped after too many faults, and ends them.
func (t *target) jobCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "job", Short: "Timers that were stopped after too many faults"}
	cmd.AddCommand(&cobra.Command{Use: "list", Short: "List them, oldest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return t.withOps(cmd, func(ctx context.Context, client opsv1.OpsServiceClient) error {
			res, err := client.ListStoppedJobs(ctx, &opsv1.ListStoppedJobsRequest{PageSize: 500})
			if err != nil {
				return err
			}
			for _, j := range res.GetJobs() {
				_ = text.Fprintf(cmd.OutOrStdout(), "%-12s %-20s %s  %d faults since %s  %s\n", j.GetService(), j.GetKind(), j.GetKey(), j.GetFaults(),
					j.GetFirstTime().AsTime().Format("2006-01-02T15:04:05Z"), j.GetLastError())
			}
			return text.Fprintf(cmd.OutOrStdout(), "%d stopped timers\n", len(res.GetJobs()))
		})
	}})
	cmd.AddCommand(t.jobRetryCommand())
	cmd.AddCommand(&cobra.Command{Use: "dismiss <service> <kind> <key>", Short: "Take one off the list: it was ended by hand", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withOps(cmd, func(ctx context.Context, client opsv1.OpsServiceClient) error {
				_, err := client.DismissStoppedJob(ctx, &opsv1.DismissStoppedJobRequest{Service: args[0], Kind: args[1], Key: args[2]})
				return err
			})
		}})
	return cmd
}

// jobRetryCommand puts stopped timers on again: one, or all of a kind.
func (t *target) jobRetryCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: "retry <service> <kind> (<key> | --all)", Short: "Put one on again, or all of a kind, once their cause is gone", Args: cobra.RangeArgs(2, 3)}
	cmd.Flags().BoolVar(&all, "all", false, "every stopped timer of the kind")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all == (len(args) == 3) {
			return errors.New("name the key of one timer, or --all")
		}
		return t.withOps(cmd, func(ctx context.Context, client opsv1.OpsServiceClient) error {
			keys := args[2:]
			if all {
				var err error
				if keys, err = stoppedKeys(ctx, client, args[0], args[1]); err != nil {
					return err
				}
			}
			for _, key := range keys {
				if _, err := client.RetryStoppedJob(ctx, &opsv1.RetryStoppedJobRequest{Service: args[0], Kind: args[1], Key: key}); err != nil {
					return err
				}
			}
			return text.Fprintf(cmd.OutOrStdout(), "%d timers are on again\n", len(keys))
		})
	}
	return cmd
}

// stoppedKeys returns the keys of a kind's stopped timers, as many as one list holds; call it again for more.
func stoppedKeys(ctx context.Context, client opsv1.OpsServiceClient, service, kind string) ([]string, error) {
	res, err := client.ListStoppedJobs(ctx, &opsv1.ListStoppedJobsRequest{PageSize: 500})
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, j := range res.GetJobs() {
		if j.GetService() == service && j.GetKind() == kind {
			keys = append(keys, j.GetKey())
		}
	}
	return keys, nil
}

// withOps calls the operator's service.
func (t *target) withOps(cmd *cobra.Command, call func(ctx context.Context, client opsv1.OpsServiceClient) error) error {
	ctx, conn, err := t.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return call(ctx, opsv1.NewOpsServiceClient(conn))
}
