package app

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// askLimit bounds how many commits are asked about at once.
const askLimit = 8

// settle queues what a succeeded commit means: the checkout and its orders are paid, the expiry ends, auto-confirm begins. It gives
// the checkout afterwards. A settlement that was applied before changes nothing. The door for both the event and the verbs that
// are ahead of it.
func (a *App) settle(tx Tx, c domain.Checkout, s domain.Settlement, actor string) (domain.Checkout, error) {
	pays, err := c.Settles(s)
	if err != nil || len(pays) == 0 {
		return c, err
	}
	next, err := c.Moved(domain.CheckoutPaid, s.CommitID)
	if err != nil {
		return c, err
	}
	mark := domain.Mark{Time: s.PayTime, Actor: actor, Cause: "commit " + ids.Format(ids.Commit, s.CommitID)}
	mv, err := planMove(pays, domain.OrderPaid, mark, s.CommitID)
	if err != nil {
		return c, err
	}
	// The orders of a checkout are of one business and were paid at one time.
	mv.autoConfirm = a.autoConfirmTime(mv.to[0])
	tx.MoveCheckout(c, next)
	mv.write(tx)
	return next.WithOrders(mv.to...), nil
}

// commitAnswer is what is known of a checkout whose commit was under way.
type commitAnswer struct {
	// checkout as read after the answer came.
	checkout domain.Checkout
	// settlement when the commit succeeded.
	settlement *domain.Settlement
	// failed says that nothing is held any more.
	failed bool
	// refusal says why nothing can be done now.
	refusal *errs.Error
}

// askCommits asks about the commits of those orders that are COMMITTING, and reads their checkouts anew afterwards: the answer may
// have overtaken an event. Answers are by checkout.
func (a *App) askCommits(ctx context.Context, orders []domain.Order, ask func(context.Context, domain.Order) (CommitOutcome, error)) (map[ids.ID]commitAnswer, error) {
	var asked []domain.Order
	seen := map[ids.ID]bool{}
	for _, o := range orders {
		if o.State == domain.OrderCommitting && !seen[o.CheckoutID] {
			seen[o.CheckoutID] = true
			asked = append(asked, o)
		}
	}
	outcomes := make([]commitAnswer, len(asked))
	var g errgroup.Group
	g.SetLimit(askLimit)
	for i, o := range asked {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, a.PeerTimeout)
			defer cancel()
			outcome, err := ask(ctx, o)
			outcomes[i] = answerOf(outcome, err)
			return nil
		})
	}
	_ = g.Wait() // the questions keep their errors
	answers := make(map[ids.ID]commitAnswer, len(asked))
	for i, o := range asked {
		answer := outcomes[i]
		if answer.refusal == nil {
			var err error
			if answer.checkout, err = a.Store.Checkout(ctx, o.CheckoutID); err != nil {
				return nil, err
			}
			if answer.checkout.State == domain.CheckoutCommitting && answer.checkout.CommitID != o.CommitID {
				answer = commitAnswer{refusal: stillCommitting()}
			}
			answer = answer.checked()
		}
		answers[o.CheckoutID] = answer
	}
	return answers, nil
}

func answerOf(outcome CommitOutcome, err error) commitAnswer {
	switch {
	case err != nil:
		return commitAnswer{refusal: notAnswered(err)}
	case outcome.State == CommitSucceeded:
		return commitAnswer{settlement: &outcome.Settlement}
	case outcome.State == CommitFailed:
		return commitAnswer{failed: true}
	default:
		return commitAnswer{refusal: stillCommitting()}
	}
}

// checked turns a settlement that does not fit into a refusal, so that it stops its own orders only.
func (c commitAnswer) checked() commitAnswer {
	if c.settlement == nil {
		return c
	}
	if _, err := c.checkout.Settles(*c.settlement); err != nil {
		return commitAnswer{refusal: errs.OrderStateInvalid.Wrap(err, "the payment does not fit the checkout; an operator must look")}
	}
	return c
}

func stillCommitting() *errs.Error {
	return errs.CheckoutCommitting.New("the outcome of the payment is not known yet; repeat the call a little later")
}
