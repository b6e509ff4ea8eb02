package contractpdf_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/money"

	"github.com/creditpay/creditpay/services/bill/internal/adapter/contractpdf"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
)

var signed = time.Date(2026, time.April, 10, 3, 4, 5, 0, time.UTC)

func agreement(t *testing.T, months int) domain.Agreement {
	t.Helper()
	product := domain.DefaultProducts(money.IDR())[0]
	plan, err := domain.BuildPlan(product, months, money.New(1_000_000, money.IDR()), civil.Date{Year: 2026, Month: time.April, Day: 10})
	if err != nil {
		t.Fatal(err)
	}
	return domain.Agreement{
		Number: "CP-20260410-01H455VB4PEX5VSKNK084SN02Q", SignTime: signed, Place: "Jakarta", LenderName: "PT Lender", LenderAddress: "Jl. Sudirman 1",
		BorrowerName: "Renée (Budi) Santoso", BorrowerID: "user-1", BorrowerTarget: "+62 8** *** *123", Checkout: "chk_x", Challenge: "chl_y",
		Product: product, Plan: plan,
	}
}

// shown gives the texts that a document shows, in order, as UTF-8.
func shown(t *testing.T, pdf []byte) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`(?s)\(((?:[^()\\]|\\.)*)\) ?Tj`).FindAllSubmatch(pdf, -1) {
		var text strings.Builder
		for _, b := range regexp.MustCompile(`\\(.)`).ReplaceAll(m[1], []byte("$1")) {
			text.WriteRune(rune(b)) // Windows-1252 and Unicode agree on what these tests print.
		}
		out = append(out, text.String())
	}
	return out
}

func TestAContractShowsEveryWordAndFigureInBothLanguages(t *testing.T) {
	t.Parallel()
	text := agreement(t, 12).Text()
	pdf, err := contractpdf.New().Print(text, "CP-1", signed)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(strings.Join(shown(t, pdf), " ")), " ")
	at := 0
	for _, block := range text {
		for _, cell := range block.Cells {
			found := strings.Index(page[at:], cell)
			if found < 0 {
				// A footer may stand inside a paragraph that runs over a page; there is none in a contract of twelve months.
				t.Fatalf("%q is not shown after byte %d", cell, at)
			}
			at += found
		}
	}
	for _, want := range []string{"PERJANJIAN KREDIT", "CREDIT AGREEMENT", "Rp 1.000.000", "IDR 1,000,000", "10 April 2026", "2,95 % per bulan", "2.95 % a month",
		"Rp 354.000", "Renée (Budi) Santoso", "5 % dari angsuran", "5 % of the unpaid instalment", "2026-04-10 10:04:05 +0700", "SHA-256 " + domain.ContentHash(text)} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not shown in %s", want, page)
		}
	}
}

func TestADocumentIsWhole(t *testing.T) {
	t.Parallel()
	pdf, err := contractpdf.New().Print(agreement(t, 12).Text(), "CP-1", signed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-1.")) || !bytes.HasSuffix(bytes.TrimSpace(pdf), []byte("%%EOF")) {
		t.Error("it does not begin and end as a PDF")
	}
	start := regexp.MustCompile(`startxref\s+(\d+)\s+%%EOF`).FindSubmatch(pdf)
	if start == nil {
		t.Fatal("it has no startxref")
	}
	table, err := strconv.Atoi(string(start[1]))
	if err != nil || !bytes.HasPrefix(pdf[table:], []byte("xref\n")) {
		t.Fatalf("startxref %s does not point at the table", start[1])
	}
	for number, entry := range regexp.MustCompile(`(\d{10}) 00000 n`).FindAllSubmatch(pdf[table:], -1) {
		offset, err := strconv.Atoi(string(entry[1]))
		if want := fmt.Sprintf("%d 0 obj", number+1); err != nil || !bytes.HasPrefix(pdf[offset:], []byte(want)) {
			t.Errorf("the table's entry %d points at %q", number+1, pdf[offset:offset+10])
		}
	}
	if n := len(regexp.MustCompile(`/Type /Page\b`).FindAll(pdf, -1)); n != 2 {
		t.Errorf("%d pages, want one in each language", n)
	}
}

func TestEqualContractsHaveEqualBytesAndOthersOthers(t *testing.T) {
	t.Parallel()
	a := agreement(t, 3)
	first, err := contractpdf.New().Print(a.Text(), a.Number, signed)
	if err != nil {
		t.Fatal(err)
	}
	again, err := contractpdf.New().Print(a.Text(), a.Number, signed)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("a second print differs, %v", err)
	}
	a.BorrowerName = "Somebody Else"
	other, err := contractpdf.New().Print(a.Text(), a.Number, signed)
	if err != nil || bytes.Equal(first, other) {
		t.Errorf("another borrower, the same bytes, %v", err)
	}
}
