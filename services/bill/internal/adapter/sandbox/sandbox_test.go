package sandbox_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/creditpay/creditpay/pkg/secret"

	"github.com/creditpay/creditpay/services/bill/internal/adapter/sandbox"
	"github.com/creditpay/creditpay/services/bill/internal/app"
)

func TestTheNewestCodeOfAUserStandsInAFileForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	s := sandbox.Sender{Dir: filepath.Join(t.TempDir(), "codes")}
	for _, code := range []string{"111111", "222222"} {
		if err := s.Send(context.Background(), app.CodeMessage{UserID: "u-1", Code: secret.Masked(code), Target: "+62811"}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(s.Dir, "u-1.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f sandbox.File
	if err := json.Unmarshal(text, &f); err != nil || f.Code != "222222" || f.Target != "+62811" {
		t.Errorf("%s, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if list, err := os.ReadDir(s.Dir); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestAUserIDThatIsAPathIsRefused(t *testing.T) {
	t.Parallel()
	s := sandbox.Sender{Dir: t.TempDir()}
	for _, id := range []string{"", "../u", "a/b", "."} {
		if err := s.Send(context.Background(), app.CodeMessage{UserID: id}); err == nil {
			t.Errorf("%q was taken", id)
		}
	}
}
