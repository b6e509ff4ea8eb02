// Package sandbox owns the sender of codes for development: it writes a code to a file that only its owner may read, instead of
// sending it.
//
// It must not log a code, and is not for production: who reads the directory signs for everybody.
package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/ids"

	"github.com/creditpay/creditpay/services/bill/internal/app"
)

// Sender writes codes to Dir, one file a user: "<user id>.json" with the newest code.
type Sender struct{ Dir string }

// File is the content of a user's file. Its names are read by tools of the development stack.
type File struct {
	ChallengeID string    `json:"challenge_id"`
	Target      string    `json:"target"`
	Code        string    `json:"code"`
	ExpireTime  time.Time `json:"expire_time"`
}

// Send implements app.CodeSender. The file is replaced by rename, so that a reader sees a whole one.
func (s Sender) Send(_ context.Context, m app.CodeMessage) error {
	if m.UserID == "" || strings.ContainsAny(m.UserID, `/\.`) {
		return fmt.Errorf("write a code: %q is no user id", m.UserID)
	}
	text, err := json.Marshal(File{ChallengeID: ids.Format(ids.Challenge, m.ChallengeID), Target: m.Target.Reveal(), Code: m.Code.Reveal(), ExpireTime: m.ExpireTime})
	if err != nil {
		return fmt.Errorf("write a code: %w", err)
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("write a code: %w", err)
	}
	// CreateTemp makes files that only the owner may read.
	tmp, err := os.CreateTemp(s.Dir, ".code-*")
	if err != nil {
		return fmt.Errorf("write a code: %w", err)
	}
	_, err = tmp.Write(append(text, '\n'))
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(s.Dir, m.UserID+".json"))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write a code: %w", err)
	}
	return nil
}
