package domain_test

import (
	"strings"
	"testing"

	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// Names are letters of any script with what stands in names beside them, and nothing else.
func TestCheckSigner_TakesNamesOfEveryScript(t *testing.T) {
	t.Parallel()
	const phone = "+6281234567890"
	for _, name := range []string{"Budi", "D'Arcy O’Neill", "Al-Amin bin M. Noor, S.Kom.", "Nguyễn Thị Hằng", "Jose\u0301", "Пётр", "محمد عبد الرحمن",
		"علی\u200cرضا", "श्रीकृष्ण", "ශ්\u200dරී", "ជា", "王小明", "买买提·艾力", "ジョン・スミス", "김민수", "יוסף בן־דוד", strings.Repeat("ก", 100)} {
		if err := domain.CheckSigner(name, phone); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " Budi", "Budi ", "...", "Budi 2", "Budi\n", "Budi\tS", "Budi\x00", "Bu\u200bdi", "Bu\u200ddi", "\u202eiduB", "Budi\u200d",
		"😀", "Budi@x", "<b>Budi</b>", "\u0301Budi", " \u0301x", "B" + strings.Repeat("\u0301", 5), strings.Repeat("ก", 101), "Budi\xff", "B\u2028S", "B\u00a0S"} {
		if err := domain.CheckSigner(name, phone); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: %v, want INVALID_ARGUMENT", name, err)
		}
	}
}
