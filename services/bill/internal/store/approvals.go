package store

import (
	"context"

	"github.com/creditpay/creditpay/pkg/approval"
	"github.com/creditpay/creditpay/pkg/approval/desk"
)

// Gate implements app.LockingTx.
func (t *Tx) Gate(ctx context.Context, a approval.Ask) (approval.Request, error) {
	return desk.Gate(ctx, t.Work, a)
}
