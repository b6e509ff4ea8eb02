package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/creditpay/creditpay/pkg/text"
	"github.com/creditpay/creditpay/services/order/internal/domain"
)

// line is one entry of an order's timeline as it is stored: a line of JSON, the n-th for version n. The state before it is that of
// the line before, so that the lines are a chain by their form. The names are part of the schema.
type line struct {
	To    domain.OrderState `json:"to"`
	Time  string            `json:"time"`
	Actor string            `json:"actor"`
	Cause string            `json:"cause"`
}

// lineTime is the form of a time that the server compares with its own.
const lineTime = "2006-01-02 15:04:05.000000"

// The bounds of a line's texts, in characters.
const (
	actorMax = 128
	causeMax = 255
)

// timelineLine is the entry of a move.
func timelineLine(to domain.OrderState, m domain.Mark) []byte {
	l := line{To: to, Time: m.Time.UTC().Format(lineTime), Actor: text.Cut(m.Actor, actorMax), Cause: text.Cut(m.Cause, causeMax)}
	text, err := json.Marshal(l)
	if err != nil {
		panic(fmt.Sprintf("a line of texts and numbers cannot be written: %v", err)) // Not possible: the texts are valid UTF-8.
	}
	return append(text, '\n')
}

// readTimeline reads what timelineLine wrote, oldest first.
func readTimeline(blob []byte) ([]domain.TimelineEntry, error) {
	var list []domain.TimelineEntry
	before := domain.OrderNone
	for text := range bytes.Lines(blob) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(list)+1, err)
		}
		at, err := time.Parse(lineTime, l.Time)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", len(list)+1, err)
		}
		list = append(list, domain.TimelineEntry{From: before, To: l.To, Version: int64(len(list) + 1), Mark: domain.Mark{Time: at, Actor: l.Actor, Cause: l.Cause}})
		before = l.To
	}
	return list, nil
}
