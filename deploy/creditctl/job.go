package creditctl

import (
	"context"

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
	cmd.AddCommand(&cobra.Command{Use: "retry <service> <kind> <key>", Short: "Put one on again, once its cause is gone", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withOps(cmd, func(ctx context.Context, client opsv1.OpsServiceClient) error {
				_, err := client.RetryStoppedJob(ctx, &opsv1.RetryStoppedJobRequest{Service: args[0], Kind: args[1], Key: args[2]})
				return err
			})
		}})
	cmd.AddCommand(&cobra.Command{Use: "dismiss <service> <kind> <key>", Short: "Take one off the list: it was ended by hand", Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withOps(cmd, func(ctx context.Context, client opsv1.OpsServiceClient) error {
				_, err := client.DismissStoppedJob(ctx, &opsv1.DismissStoppedJobRequest{Service: args[0], Kind: args[1], Key: args[2]})
				return err
			})
		}})
	return cmd
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
