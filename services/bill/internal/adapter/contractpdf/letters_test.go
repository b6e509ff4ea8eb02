package contractpdf_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/creditpay/creditpay/services/bill/internal/adapter/contractpdf"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

// names are people's, in the scripts that are printed.
func names() map[string]string {
	return map[string]string{
		"Vietnamese": "Nguyễn Thị Hằng", "Polish": "Łukasz Żółć", "decomposed": "Jose\u0301 N\u0303an\u0303ez", "Greek": "Ελένη Παπαδοπούλου",
		"Cyrillic": "Пётр Щербаков", "Arabic": "محمد عبد الرحمن", "Persian": "علی\u200cرضا پژمان", "Hebrew": "יוסף בן־דוד", "Thai": "น้ำทิพย์ กิตติศักดิ์",
		"Lao": "ສຸລິຍາ", "Khmer": "សុខា ហេង", "Burmese": "အောင်ကြည်", "Hindi": "श्रीकृष्ण त्रिपाठी", "Bengali": "শ্রীকান্ত চক্রবর্তী", "Punjabi": "ਗੁਰਪ੍ਰੀਤ",
		"Gujarati": "કૃષ્ણ પટેલ", "Tamil": "கார்த்திகேயன்", "Telugu": "శ్రీనివాస్", "Kannada": "ಕೃಷ್ಣಮೂರ್ತಿ", "Malayalam": "ശ്രീകുമാർ", "Sinhala": "ශ්\u200dරී ලාල්",
		"Armenian": "Արմեն", "Georgian": "გიორგი", "Chinese": "王小明", "traditional": "陳麗華", "Japanese": "山田 たろう", "Korean": "김민수",
	}
}

// Every name that is accepted is printed: no letter is missing, and the document has outlines where the name stands. The same text has the
// same bytes.
func TestPrint_HasTheLettersOfEveryScript(t *testing.T) {
	t.Parallel()
	press := contractpdf.New()
	plain, err := press.Print(agreement(t, 3).Text(), "CP-1", signed)
	if err != nil {
		t.Fatal(err)
	}
	for script, name := range names() {
		if err := domain.CheckSigner(name, "+6281234567890"); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		if r, missing, err := press.Missing(name); missing || err != nil {
			t.Errorf("%s: %q is missing, %v", script, r, err)
		}
		a := agreement(t, 3)
		a.BorrowerName = name
		pdf, err := press.Print(a.Text(), "CP-1", signed)
		if err != nil {
			t.Fatal(err)
		}
		if drawn, before := bytes.Count(pdf, []byte(" c\n")), bytes.Count(plain, []byte(" c\n")); drawn < before+20 {
			t.Errorf("%s: %d curves, %d without the name", script, drawn, before)
		}
		if len(pdf) > 128<<10 {
			t.Errorf("%s: %d bytes, want a document that is mailed", script, len(pdf))
		}
		if page := strings.Join(shown(t, pdf), " "); !strings.Contains(page, "(user-1)") || !strings.Contains(page, "Signed electronically by") {
			t.Errorf("%s: a search does not find the plain words beside the name", script)
		}
		again, err := press.Print(a.Text(), "CP-1", signed)
		if script == "Thai" {
			again, err = contractpdf.New().Print(a.Text(), "CP-1", signed) // another process
		}
		if err != nil || !bytes.Equal(pdf, again) {
			t.Errorf("%s: a second print differs, %v", script, err)
		}
	}
}

// A text that has no letter beyond Windows-1252 is printed as it always was: by the document's own typeface, found by a search.
func TestPrint_LeavesPlainTextSearchable(t *testing.T) {
	t.Parallel()
	pdf, err := contractpdf.New().Print(agreement(t, 3).Text(), "CP-1", signed)
	if err != nil || bytes.Contains(pdf, []byte(" c\n")) {
		t.Errorf("a plain contract has outlines, %v", err)
	}
}

// Nothing is left out in silence: what no typeface has, and what would turn a line around, stands there as its code.
func TestPrint_ShowsALetterWithoutTypefaceAsItsCode(t *testing.T) {
	t.Parallel()
	press := contractpdf.New()
	if r, missing, err := press.Missing("Ab \U00010330"); !missing || r != '\U00010330' || err != nil {
		t.Errorf("%q, %v, %v", r, missing, err)
	}
	a := agreement(t, 3)
	a.BorrowerName = "Budi\x1b\u202eitnaS"
	pdf, err := press.Print(a.Text(), "CP-1", signed)
	if err != nil || !strings.Contains(strings.Join(shown(t, pdf), " "), `Budi\u{1b}\u{202e}itnaS`) {
		t.Errorf("control characters are not shown as codes, %v", err)
	}
}

// A paragraph in such letters is as long as it needs to be, over pages too.
func TestPrint_BreaksLongForeignText(t *testing.T) {
	t.Parallel()
	blocks := agreement(t, 3).Text()
	blocks = append(blocks, domain.Block{Kind: domain.BlockText, Cells: []string{strings.Repeat("Щербаков محمد 王小明 ", 400)}})
	pdf, err := contractpdf.New().Print(blocks, "CP-1", signed)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(pdf, []byte("/Type /Page\n")); n < 3 {
		t.Errorf("%d pages", n)
	}
}
