package creditctl

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	billv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/bill/v1"
	commonv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/common/v1"
	paymentv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/payment/v1"
	refundv1 "github.com/creditpay/creditpay/proto/gen/go/creditpay/refund/v1"

	"github.com/creditpay/creditpay/pkg/text"
)

const approvalStatePrefix = "APPROVAL_STATE_"

func (t *target) approvalCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "approval", Short: "Acts that other people must approve: pay-outs, reversals, write-offs, resolved returns, …, and changes of tiers"}
	cmd.AddCommand(t.approvalListCommand(), t.approvalShowCommand(),
		t.approvalDecisionCommand("approve", "Approve a request that somebody else made; the last approval carries it out", approvals.approve),
		t.approvalDecisionCommand("reject", "Reject a request, or take your own back", approvals.reject),
		t.approvalTiersCommand(), t.approvalSetTiersCommand())
	return cmd
}

// approvals is the approvals of one service.
type approvals interface {
	name() string
	list(ctx context.Context, state commonv1.ApprovalState, verb, token string, size int32) ([]*commonv1.Approval, string, error)
	get(ctx context.Context, id string) (*commonv1.Approval, error)
	approve(ctx context.Context, id, comment string) (*commonv1.Approval, error)
	reject(ctx context.Context, id, comment string) (*commonv1.Approval, error)
	tiers(ctx context.Context) ([]*commonv1.ApprovalRule, []*commonv1.Approval, error)
	setTiers(ctx context.Context, verb, currency string, tiers []*commonv1.ApprovalTier, reason string) (*commonv1.Approval, error)
}

// withApprovals runs a command with the approvals of every service.
func (t *target) withApprovals(cmd *cobra.Command, do func(ctx context.Context, all []approvals) error) error {
	ctx, conn, err := t.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return do(ctx, allApprovals(conn))
}

func allApprovals(conn grpc.ClientConnInterface) []approvals {
	return []approvals{billApprovals{billv1.NewBillAdminServiceClient(conn)}, paymentApprovals{paymentv1.NewPaymentAdminServiceClient(conn)},
		refundApprovals{refundv1.NewRefundServiceClient(conn)}}
}

// findApproval finds a request in the service that has it.
func findApproval(ctx context.Context, all []approvals, id string) (approvals, *commonv1.Approval, error) {
	for _, a := range all {
		m, err := a.get(ctx, id)
		if status.Code(err) != codes.NotFound {
			return a, m, err
		}
	}
	return nil, nil, fmt.Errorf("no service has a request %s", id)
}

func (t *target) approvalListCommand() *cobra.Command {
	var state, verb string
	most := 0
	cmd := &cobra.Command{Use: "list", Short: "List what waits to be approved, newest first", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&state, "approval-state", "pending_approval", "pending_approval, approved, carried_out, rejected, …; empty: all")
	cmd.Flags().StringVar(&verb, "verb", "", "of this verb, for example PayOutCreditBalance; empty: all")
	cmd.Flags().IntVar(&most, "limit", 200, "at most this many of each service")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		value := commonv1.ApprovalState_value[approvalStatePrefix+strings.ToUpper(state)]
		if state != "" && value == 0 {
			return fmt.Errorf("--approval-state: %q is no state of a request", state)
		}
		return t.withApprovals(cmd, func(ctx context.Context, all []approvals) error {
			total := 0
			for _, a := range all {
				n, err := listApprovals(ctx, cmd.OutOrStdout(), a, commonv1.ApprovalState(value), verb, most)
				if err != nil {
					return err
				}
				total += n
			}
			return text.Fprintf(cmd.OutOrStdout(), "%d requests\n", total)
		})
	}
	return cmd
}

func listApprovals(ctx context.Context, out io.Writer, a approvals, state commonv1.ApprovalState, verb string, most int) (total int, err error) {
	for token := ""; total < most; {
		page, next, err := a.list(ctx, state, verb, token, int32(min(most-total, 100)))
		if err != nil {
			return total, err
		}
		for _, m := range page {
			total++
			if err := printApproval(out, a.name(), m); err != nil {
				return total, err
			}
		}
		if token = next; token == "" {
			break
		}
	}
	return total, nil
}

// printApproval prints a request: what it would do, who asked, and who approved.
func printApproval(out io.Writer, service string, m *commonv1.Approval) error {
	err := text.Fprintf(out, "%s  %-16s %s\n    %s\n    asked by %s: %s\n", m.GetApprovalId(), strings.TrimPrefix(m.GetState().String(), approvalStatePrefix),
		service, m.GetSummary(), m.GetRequester(), m.GetReason())
	if m.GetSum() != nil {
		err = errors.Join(err, text.Fprintf(out, "    %d %s, by a sum of %d\n", m.GetAmount().GetAmountMinor(), m.GetAmount().GetCurrencyCode(), m.GetSum().GetAmountMinor()))
	}
	if m.GetApprovalsNeeded() > 0 {
		names := make([]string, len(m.GetVotes()))
		for i, v := range m.GetVotes() {
			names[i] = v.GetApprover()
		}
		err = errors.Join(err, text.Fprintf(out, "    approved by %d of %d: %s\n", m.GetApprovalsGiven(), m.GetApprovalsNeeded(), strings.Join(names, ", ")))
	}
	if m.GetEndedBy() != "" || m.GetFailure() != "" {
		err = errors.Join(err, text.Fprintf(out, "    ended by %s: %s\n", m.GetEndedBy(), m.GetFailure()))
	}
	if r := m.GetRule(); r != nil {
		err = errors.Join(err, printRule(out, "    ", r))
	}
	return err
}

// printRule prints tiers and since or from when they are in force.
func printRule(out io.Writer, indent string, r *commonv1.ApprovalRule) error {
	when := "not in force"
	switch {
	case r.GetCancelTime() != nil:
		when = "taken back at " + timeText(r.GetCancelTime())
	case r.GetEffectiveTime() != nil:
		when = "in force from " + timeText(r.GetEffectiveTime())
	}
	err := text.Fprintf(out, "%s%s in %s, %s\n", indent, r.GetVerb(), r.GetCurrencyCode(), when)
	for _, tier := range r.GetTiers() {
		err = errors.Join(err, text.Fprintf(out, "%s  from %d: %d\n", indent, tier.GetFrom().GetAmountMinor(), tier.GetApprovals()))
	}
	return err
}

func timeText(t *timestamppb.Timestamp) string { return t.AsTime().Format("2006-01-02T15:04:05Z") }

func (t *target) approvalShowCommand() *cobra.Command {
	return &cobra.Command{Use: "show <approval id>", Short: "A request with everybody's words", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withApprovals(cmd, func(ctx context.Context, all []approvals) error {
				a, m, err := findApproval(ctx, all, args[0])
				if err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				err = printApproval(out, a.name(), m)
				for _, v := range m.GetVotes() {
					err = errors.Join(err, text.Fprintf(out, "  %s  %s: %s\n", timeText(v.GetTime()), v.GetApprover(), v.GetComment()))
				}
				if m.GetExpireTime() != nil {
					err = errors.Join(err, text.Fprintf(out, "  asked for at %s, to be approved until %s\n", timeText(m.GetCreateTime()), timeText(m.GetExpireTime())))
				}
				return err
			})
		}}
}

func (t *target) approvalDecisionCommand(verb, short string, decide func(a approvals, ctx context.Context, id, comment string) (*commonv1.Approval, error)) *cobra.Command {
	var comment string
	cmd := &cobra.Command{Use: verb + " <approval id>", Short: short, Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&comment, "comment", "", "why, kept for the auditor")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return t.withApprovals(cmd, func(ctx context.Context, all []approvals) error {
			a, _, err := findApproval(ctx, all, args[0])
			if err != nil {
				return err
			}
			m, err := decide(a, ctx, args[0], comment)
			if err != nil {
				return err
			}
			return printApproval(cmd.OutOrStdout(), a.name(), m)
		})
	}
	return cmd
}

func (t *target) approvalTiersCommand() *cobra.Command {
	return &cobra.Command{Use: "tiers", Short: "How many people must approve what, from which amount on, and the last changes that were asked for", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withApprovals(cmd, func(ctx context.Context, all []approvals) error {
				out := cmd.OutOrStdout()
				for _, a := range all {
					rules, changes, err := a.tiers(ctx)
					if err != nil {
						return err
					}
					if err := text.Fprintf(out, "%s\n", a.name()); err != nil {
						return err
					}
					for _, r := range rules {
						err = errors.Join(err, printRule(out, "  ", r))
					}
					for _, m := range changes {
						err = errors.Join(err, printApproval(out, a.name(), m))
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		}}
}

func (t *target) approvalSetTiersCommand() *cobra.Command {
	var reason, currency string
	cmd := &cobra.Command{Use: "set-tiers <bill|payment|refund> <verb> <from>=<people>...", Short: "Ask for other tiers; somebody else must approve them, and looser ones wait a day",
		Example: "creditctl approval set-tiers bill PayOutCreditBalance 1=0 1000001=1 50000001=2 --reason 'audit 2026'", Args: cobra.RangeArgs(3, 22)}
	cmd.Flags().StringVar(&currency, "currency", "IDR", "ISO 4217 code of the amounts, which are in minor units")
	cmd.Flags().StringVar(&reason, "reason", "", "why, kept for the auditor")
	_ = cmd.MarkFlagRequired("reason") // It exists: a line above made it.
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tiers, err := tierArgs(currency, args[2:])
		if err != nil {
			return err
		}
		return t.withApprovals(cmd, func(ctx context.Context, all []approvals) error {
			for _, a := range all {
				if a.name() != args[0] {
					continue
				}
				m, err := a.setTiers(ctx, args[1], currency, tiers, reason)
				if err != nil {
					return err
				}
				return printApproval(cmd.OutOrStdout(), a.name(), m)
			}
			return fmt.Errorf("%q is none of bill, payment and refund", args[0])
		})
	}
	return cmd
}

// tierArgs reads tiers of the form from=people.
func tierArgs(currency string, args []string) ([]*commonv1.ApprovalTier, error) {
	out := make([]*commonv1.ApprovalTier, len(args))
	for i, arg := range args {
		from, people, _ := strings.Cut(arg, "=")
		minor, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no tier: write the amount in minor units, an equals sign and the number of people, 1000001=1", arg)
		}
		n, err := strconv.ParseInt(people, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no tier: after the equals sign comes the number of people, 0 to 2", arg)
		}
		out[i] = &commonv1.ApprovalTier{From: &commonv1.Money{AmountMinor: new(minor), CurrencyCode: currency}, Approvals: new(int32(n))}
	}
	return out, nil
}

func requestID() string { return "creditctl-" + rand.Text() }
