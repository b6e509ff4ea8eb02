package app

import (
	"context"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/services/notification/internal/domain"
)

// FeedLag is how long an event stays out of the feed: longer than the transaction that receives it can take, so that none appears
// behind one that was read.
const FeedLag = 30 * time.Second

// ListEvents gives events that an owner hears of, behind a place in the feed, oldest first.
func (a *App) ListEvents(ctx context.Context, owner domain.Owner, after ids.ID, size int) ([]domain.Notice, error) {
	return a.Store.Feed(ctx, owner, after, ids.First(a.now().Add(-FeedLag)), size)
}
