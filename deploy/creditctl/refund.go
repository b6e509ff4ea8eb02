package creditctl

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/text"
)

const (
	refundStatePrefix    = "REFUND_STATE_"
	refundLegStatePrefix = "REFUND_LEG_STATE_"
	refundLegKindPrefix  = "REFUND_LEG_KIND_"
	refundReasonPrefix   = "REFUND_REASON_CODE_"
)

func (t *target) refundCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "refund", Short: "Refunds: who waits for approval, and whose cash did not go back"}
	cmd.AddCommand(t.refundListCommand(), t.refundShowCommand(),
		t.refundDecisionCommand("approve", "Approve refunds that somebody else asked for", func(ctx context.Context, c refundv1.RefundServiceClient, list []string, comment string) ([]*refundv1.RefundResult, error) {
			res, err := c.ApproveRefund(ctx, &refundv1.ApproveRefundRequest{RequestId: "creditctl-" + rand.Text(), RefundIds: list, Comment: comment})
			return res.GetResults(), err
		}),
		t.refundDecisionCommand("reject", "Reject refunds", func(ctx context.Context, c refundv1.RefundServiceClient, list []string, comment string) ([]*refundv1.RefundResult, error) {
			res, err := c.RejectRefund(ctx, &refundv1.RejectRefundRequest{RequestId: "creditctl-" + rand.Text(), RefundIds: list, Comment: comment})
			return res.GetResults(), err
		}),
		t.refundRetryCommand(), t.refundResolveCommand())
	return cmd
}

// withRefunds runs a command with a client of the refund service.
func (t *target) withRefunds(cmd *cobra.Command, do func(ctx context.Context, client refundv1.RefundServiceClient) error) error {
	ctx, conn, err := t.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return do(ctx, refundv1.NewRefundServiceClient(conn))
}

func (t *target) refundListCommand() *cobra.Command {
	req := &refundv1.ListRefundsRequest{}
	var state string
	most := 0
	cmd := &cobra.Command{Use: "list", Short: "List them, newest first", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&req.OrderId, "order", "", "those of this order")
	cmd.Flags().StringVar(&state, "refund-state", "", "pending_approval, executing, succeeded, …; empty: all")
	cmd.Flags().IntVar(&most, "limit", 200, "at most this many")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if state != "" {
			value, ok := refundv1.RefundState_value[refundStatePrefix+strings.ToUpper(state)]
			if !ok || value == 0 {
				return fmt.Errorf("--refund-state: %q is no state of a refund", state)
			}
			req.State = refundv1.RefundState(value)
		}
		return t.withRefunds(cmd, func(ctx context.Context, client refundv1.RefundServiceClient) error {
			return listRefunds(ctx, cmd.OutOrStdout(), client, req, most)
		})
	}
	return cmd
}

func listRefunds(ctx context.Context, out io.Writer, client refundv1.RefundServiceClient, req *refundv1.ListRefundsRequest, most int) error {
	total := 0
	for total < most {
		req.PageSize = int32(min(most-total, 100))
		res, err := client.ListRefunds(ctx, req)
		if err != nil {
			return err
		}
		for _, r := range res.GetRefunds() {
			total++
			printRefund(out, r)
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	err := text.Fprintf(out, "%d refunds\n", total)
	return err
}

func printRefund(out io.Writer, r *refundv1.Refund) {
	p := func(format string, args ...any) { _ = text.Fprintf(out, format+"\n", args...) }
	p("%s  %-16s %d %s of %s  by %s", r.GetRefundId(), strings.TrimPrefix(r.GetState().String(), refundStatePrefix), r.GetAmount().GetAmountMinor(),
		r.GetAmount().GetCurrencyCode(), r.GetOrderId(), r.GetRequester())
	if needed := r.GetApprovalsNeeded(); needed > 0 {
		p("    approved by %d of %d: %s", len(r.GetApprovers()), needed, strings.Join(r.GetApprovers(), ", "))
	}
	if r.GetFailure() != "" {
		p("    %s", r.GetFailure())
	}
	for _, l := range r.GetEffect().GetLegs() {
		p("    leg %s  %-14s %d  %s", l.GetReference(), strings.TrimPrefix(l.GetKind().String(), refundLegKindPrefix), l.GetAmount().GetAmountMinor(),
			strings.TrimPrefix(l.GetState().String(), refundLegStatePrefix))
	}
}

// printEffect prints what a refund does, which is what an approver approves.
func printEffect(out io.Writer, e *refundv1.RefundEffect) {
	p := func(format string, args ...any) { _ = text.Fprintf(out, format+"\n", args...) }
	if e.GetPrincipalReduced() == nil {
		return // It is not known yet.
	}
	p("effect  principal %d and charges %d less, limit %d free, cash back %d (of it down payment %d)", e.GetPrincipalReduced().GetAmountMinor(),
		e.GetChargesReduced().GetAmountMinor(), e.GetLimitFreed().GetAmountMinor(), e.GetCashReturned().GetAmountMinor(), e.GetDownPaymentPart().GetAmountMinor())
	for _, i := range e.GetInstalments() {
		p("  #%d due %s  %d → %d", i.GetSequence(), i.GetDueDate(), i.GetOpenBefore().GetAmountMinor(), i.GetOpenAfter().GetAmountMinor())
	}
}

func (t *target) refundShowCommand() *cobra.Command {
	return &cobra.Command{Use: "show <refund id>", Short: "A refund with its legs and what happened to it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withRefunds(cmd, func(ctx context.Context, client refundv1.RefundServiceClient) error {
				res, err := client.GetRefund(ctx, &refundv1.GetRefundRequest{RefundId: args[0]})
				if err != nil {
					return err
				}
				out, r := cmd.OutOrStdout(), res.GetRefund()
				printRefund(out, r)
				printEffect(out, r.GetEffect())
				_ = text.Fprintf(out, "reason  %s: %s\n", strings.TrimPrefix(r.GetReasonCode().String(), refundReasonPrefix), r.GetReason())
				for _, e := range r.GetTimeline() {
					_ = text.Fprintf(out, "  %s  %-16s → %-16s %s: %s\n", e.GetTime().AsTime().Format("2006-01-02T15:04:05.000Z"), e.GetFromState(), e.GetToState(),
						e.GetActor(), e.GetCause())
				}
				return nil
			})
		}}
}

type decision func(ctx context.Context, client refundv1.RefundServiceClient, refundIDs []string, comment string) ([]*refundv1.RefundResult, error)

func (t *target) refundDecisionCommand(verb, short string, decide decision) *cobra.Command {
	var comment string
	cmd := &cobra.Command{Use: verb + " <refund id>...", Short: short, Args: cobra.RangeArgs(1, 50)}
	cmd.Flags().StringVar(&comment, "comment", "", "why, kept for the auditor")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return t.withRefunds(cmd, func(ctx context.Context, client refundv1.RefundServiceClient) error {
			results, err := decide(ctx, client, args, comment)
			if err != nil {
				return err
			}
			refused := 0
			for _, r := range results {
				if r.GetReason() != "" {
					refused++
				}
				_ = text.Fprintf(cmd.OutOrStdout(), "%s  %s  %s\n", r.GetRefundId(), strings.TrimPrefix(r.GetState().String(), refundStatePrefix), r.GetReason())
			}
			if refused > 0 {
				return fmt.Errorf("%d of %d were refused", refused, len(results))
			}
			return nil
		})
	}
	return cmd
}

func (t *target) refundRetryCommand() *cobra.Command {
	return &cobra.Command{Use: "retry <refund id> <leg reference>", Short: "Ask once more for cash that could not be given back", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withRefunds(cmd, func(ctx context.Context, client refundv1.RefundServiceClient) error {
				res, err := client.RetryRefundLeg(ctx, &refundv1.RetryRefundLegRequest{RefundId: args[0], Reference: args[1]})
				if err == nil {
					printRefund(cmd.OutOrStdout(), res.GetRefund())
				}
				return err
			})
		}}
}

func (t *target) refundResolveCommand() *cobra.Command {
	var evidence string
	var keep bool
	cmd := &cobra.Command{Use: "resolve <refund id> <leg reference>", Short: "End a leg that failed: the payer got the money another way, or keeps it as credit balance",
		Args: cobra.ExactArgs(2)}
	cmd.Flags().StringVar(&evidence, "evidence", "", "what proves it, for example the number of a bank transfer")
	cmd.Flags().BoolVar(&keep, "credit-balance", false, "it becomes credit balance; otherwise the payer has the money")
	_ = cmd.MarkFlagRequired("evidence") // It exists: a line above made it.
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return t.withRefunds(cmd, func(ctx context.Context, client refundv1.RefundServiceClient) error {
			res, err := client.ResolveRefundLeg(ctx, &refundv1.ResolveRefundLegRequest{
				RefundId: args[0], Reference: args[1], GivenBack: new(!keep), Evidence: evidence})
			if err != nil {
				return err
			}
			printRefund(cmd.OutOrStdout(), res.GetRefund())
			if res.GetApproval() == nil {
				return nil
			}
			return printApproval(cmd.OutOrStdout(), "refund", res.GetApproval())
		})
	}
	return cmd
}
