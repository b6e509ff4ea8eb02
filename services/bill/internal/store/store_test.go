package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/creditpay/creditpay/pkg/approval/desk"
	"github.com/creditpay/creditpay/pkg/audit"
	"github.com/creditpay/creditpay/pkg/civil"
	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/errs"
	"github.com/creditpay/creditpay/pkg/ids"
	"github.com/creditpay/creditpay/pkg/jobs"
	"github.com/creditpay/creditpay/pkg/money"
	"github.com/creditpay/creditpay/pkg/mysqlx"
	"github.com/creditpay/creditpay/pkg/outbox"
	"github.com/creditpay/creditpay/pkg/schema/schematest"
	"github.com/creditpay/creditpay/pkg/testkit"
	"github.com/creditpay/creditpay/pkg/unit"

	"github.com/creditpay/creditpay/services/bill/internal/app"
	"github.com/creditpay/creditpay/services/bill/internal/domain"
	"github.com/creditpay/creditpay/services/bill/internal/event"
	"github.com/creditpay/creditpay/services/bill/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.Leaks) }

type bed struct {
	*store.Store
	db  *mysqlx.DB
	ids *ids.Generator
	now time.Time
	// mute has the same kit and an encoder that knows no event.
	mute *store.Store
}

func newBed(t *testing.T) *bed {
	t.Helper()
	ctx := context.Background()
	db := schematest.OpenService(t, mysqlx.Options{MaxConns: 8}, store.Migrations)
	clk := clock.NewFake(time.Date(2026, time.April, 10, 3, 0, 0, 123_456_000, time.UTC))
	gen := ids.NewGenerator(clk)
	kit := &unit.Kit{DB: db, Outbox: outbox.NewWriter(gen, clk), Jobs: jobs.NewQueue(clk), IDs: gen, Clock: clk}
	silent := func(domain.Event) (string, string, string, int64, proto.Message) { return "", "", "", 0, nil }
	b := &bed{Store: store.New(kit, event.Encode), db: db, ids: gen, now: clk.Now(), mute: store.New(kit, silent)}
	if err := b.Seed(ctx, domain.DefaultProducts(money.IDR()), b.now); err != nil {
		t.Fatal(err)
	}
	return b
}

func rp(minor int64) money.Amount { return money.New(minor, money.IDR()) }

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	options := cmp.Options{cmpopts.EquateComparable(money.Amount{}, money.Currency{}), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(want, got, options); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (b *bed) do(t *testing.T, fn func(tx app.Tx)) {
	t.Helper()
	if err := b.Do(t.Context(), func(tx app.Tx) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

func (b *bed) account(user string) app.Account {
	return app.Account{OpenTime: b.now, Credit: rp(0), Account: domain.Account{
		ID: b.ids.New(), UserID: user, Limit: rp(1_000_000), Used: rp(0), Held: rp(0), State: domain.AccountActive, Version: 1,
	}}
}

func (b *bed) loan(t *testing.T, user string, commit ids.ID) app.Loan {
	t.Helper()
	plan, err := domain.BuildPlan(domain.DefaultProducts(money.IDR())[0], 3, rp(100_000), civil.Date{Year: 2026, Month: 4, Day: 10})
	if err != nil {
		t.Fatal(err)
	}
	return app.Loan{DraftActor: "SERVICE:payment", Overpaid: rp(0), Overdue: rp(0), Shrunk: rp(0), Refunded: rp(0), Payable: rp(0), Loan: domain.Loan{
		ID: b.ids.New(), OrderID: b.ids.New(), CommitID: commit, UserID: user, MerchantID: "shop-1", Business: "marketplace",
		State: domain.LoanDraft, Plan: plan, Outstanding: rp(0), DraftTime: b.now, Version: 1,
	}}
}

func TestRowsComeBackAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	account := b.account("u1")
	reservation := app.Reservation{CommitID: b.ids.New(), UserID: "u1", State: app.ReservationHeld, Total: rp(200_000), CreateTime: b.now, Version: 1}
	reservation.Fingerprint[0], reservation.Fingerprint[31] = 1, 2
	loans := []app.Loan{b.loan(t, "u1", reservation.CommitID), b.loan(t, "u1", reservation.CommitID)}
	b.do(t, func(tx app.Tx) {
		tx.InsertAccount(account, b.now)
		tx.InsertAccountChange(app.AccountChange{ID: b.ids.New(), AccountID: account.ID, Actor: "ADMIN:a", What: "Open", Reason: "r", After: []byte("{}"), Time: b.now})
		tx.InsertReservation(reservation)
		tx.InsertLoans(loans)
	})
	gotAccount, found, err := b.Account(t.Context(), "u1")
	if err != nil || !found {
		t.Fatal(found, err)
	}
	equal(t, "account", account, gotAccount)
	gotReservation, found, err := b.Reservation(t.Context(), reservation.CommitID)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	equal(t, "reservation", reservation, gotReservation)
	ofCommit, err := b.LoansOfCommit(t.Context(), reservation.CommitID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "loans of the commit", loans, ofCommit)
	ofOrders, err := b.LoansOfOrders(t.Context(), []ids.ID{loans[1].OrderID, loans[0].OrderID, b.ids.New()})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "loans of the orders", loans, ofOrders)
	if none, err := b.LoansOfOrders(t.Context(), nil); err != nil || len(none) != 0 {
		t.Error(none, err)
	}
	if _, found, err := b.Account(t.Context(), "u2"); err != nil || found {
		t.Error("an account of nobody", found, err)
	}
	if _, found, err := b.Reservation(t.Context(), b.ids.New()); err != nil || found {
		t.Error("a reservation of nothing", found, err)
	}
}

func TestTombstoneComesBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	tombstone := app.Reservation{CommitID: b.ids.New(), State: app.ReservationReleased, CreateTime: b.now, ReleaseTime: b.now, Version: 1}
	b.do(t, func(tx app.Tx) { tx.InsertReservation(tombstone) })
	got, _, err := b.Reservation(t.Context(), tombstone.CommitID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tombstone", tombstone, got)
	err = b.Do(t.Context(), func(tx app.Tx) error { tx.InsertReservation(tombstone); return nil })
	if !errors.Is(err, app.ErrReservationExists) {
		t.Errorf("a second one: %v", err)
	}
}

func TestCurrentProductsAreTheNewestEffectiveVersions(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	products := domain.DefaultProducts(money.IDR())
	second, third := products[0], products[0]
	second.Version, second.Name = 2, "renamed"
	third.Version, third.EffectiveFrom = 3, b.now.Add(time.Hour)
	changed := products[0]
	changed.Name = "must not be written"
	if err := b.Seed(t.Context(), []domain.Product{changed, second, third}, b.now); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]int{b.now: 2, b.now.Add(time.Hour): 3} {
		list, err := b.CurrentProducts(t.Context(), at)
		if err != nil || len(list) != 2 || list[0].Version != want || list[1].Code != "SPL_ID_REDUCING" {
			t.Errorf("at %s: %v, %v", at, list, err)
		}
	}
	if p, found, err := b.Product(t.Context(), "SPL_ID", 1); err != nil || !found || p.Name != products[0].Name {
		t.Errorf("the first version: %v, %v, %v", p, found, err)
	}
	if _, found, err := b.Product(t.Context(), "SPL_ID", 9); err != nil || found {
		t.Errorf("a version that is not there: %v, %v", found, err)
	}
}

func TestWritesThatDoNotFindTheirRowFailTheUnit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	account, refused := b.account("u1"), errors.New("refused")
	held := app.Reservation{CommitID: b.ids.New(), UserID: "u1", State: app.ReservationHeld, Total: rp(100_000), CreateTime: b.now, Version: 1}
	loan := b.loan(t, "u1", held.CommitID)
	b.do(t, func(tx app.Tx) {
		tx.InsertAccount(account, b.now)
		tx.InsertReservation(held)
		tx.InsertLoans([]app.Loan{loan})
		tx.Hold("u1", rp(100_000), b.now, refused)
	})
	stale, staleLoan, staleHeld := account.Account, loan, held
	stale.Version, staleLoan.Version, staleHeld.Version = 7, 7, 7
	other := b.account("u1")
	for name, c := range map[string]struct {
		write func(tx app.Tx)
		want  func(error) bool
	}{
		"hold above the limit":     {func(tx app.Tx) { tx.Hold("u1", rp(900_001), b.now, refused) }, is(refused)},
		"hold of another currency": {func(tx app.Tx) { tx.Hold("u1", money.New(1, money.USD()), b.now, refused) }, is(refused)},
		"hold of nobody":           {func(tx app.Tx) { tx.Hold("u2", rp(1), b.now, refused) }, is(refused)},
		"release more than held":   {func(tx app.Tx) { tx.ReleaseHold("u1", rp(100_001), b.now, refused) }, is(refused)},
		"use more than held":       {func(tx app.Tx) { tx.UseHold("u1", rp(100_001), b.now, refused) }, is(refused)},
		"stale account":            {func(tx app.Tx) { tx.UpdateAccount(stale, b.now) }, has(errs.ConcurrentChange)},
		"stale loan":               {func(tx app.Tx) { tx.UpdateDraft(staleLoan) }, has(errs.ConcurrentChange)},
		"stale reservation":        {func(tx app.Tx) { tx.UpdateReservation(staleHeld) }, has(errs.ConcurrentChange)},
		"second account":           {func(tx app.Tx) { tx.InsertAccount(other, b.now) }, has(errs.AccountExists)},
		"loan that does not add up": {func(tx app.Tx) {
			bad := b.loan(t, "u1", held.CommitID)
			bad.Plan.Fee = rp(0)
			tx.InsertLoans([]app.Loan{bad})
		}, has(errs.Internal)},
	} {
		err := b.Do(t.Context(), func(tx app.Tx) error { c.write(tx); return nil })
		if !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	second := b.loan(t, "u1", held.CommitID)
	second.OrderID = loan.OrderID
	err := b.Do(t.Context(), func(tx app.Tx) error { tx.InsertLoans([]app.Loan{second}); return nil })
	if !errs.Is(err, errs.LoanStateInvalid) {
		t.Errorf("second loan of an order: %v", err)
	}
	err = b.mute.Do(t.Context(), func(tx app.Tx) error { tx.Emit(domain.LoanVoided{}); return nil })
	if !errs.Is(err, errs.Internal) {
		t.Errorf("an event that nobody can encode: %v", err)
	}
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
func has(want errs.Reason) func(error) bool {
	return func(err error) bool { return errs.Is(err, want) }
}

func TestLockedLoansAndTheirInstalmentsInOneTransaction(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	commit := b.ids.New()
	loan := b.loan(t, "u1", commit)
	b.do(t, func(tx app.Tx) { tx.InsertLoans([]app.Loan{loan}) })
	err := b.db.InTx(t.Context(), func(raw *mysqlx.Tx) error {
		return b.Join(raw, func(tx app.LockingTx) error {
			locked, err := tx.LockLoans(t.Context(), []ids.ID{loan.OrderID})
			if err != nil || len(locked) != 1 {
				return errors.Join(err, errors.New("the loan is not there"))
			}
			if none, err := tx.LockLoans(t.Context(), nil); err != nil || none != nil {
				return errors.Join(err, errors.New("loans of nothing"))
			}
			product, found, err := tx.Product(t.Context(), "SPL_ID", 1)
			if err != nil || !found {
				return errors.Join(err, errors.New("the product is not there"))
			}
			l := locked[0]
			if l.Loan, err = l.Activate(b.now, civil.Date{Year: 2026, Month: 4, Day: 30}, product); err != nil {
				return err
			}
			tx.UpdateDraft(l)
			l.Start = civil.Date{Year: 2026, Month: 4, Day: 30}
			tx.PutInstalments([]app.InstalmentRow{{LoanID: l.ID, InstalmentPosition: domain.InstalmentPosition{Sequence: 1, BillDate: l.Plan.Instalments[0].DueDate, DueDate: l.Plan.Instalments[0].DueDate, State: domain.InstalmentOpen}}})
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.LoansOfOrders(t.Context(), []ids.ID{loan.OrderID})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if l := got[0]; l.State != domain.LoanActive || l.Version != 2 || l.Plan.Instalments[0].DueDate.String() != "2026-06-05" || !l.ActivateTime.Equal(b.now) {
		t.Errorf("%+v", l)
	}
}

func TestAuditFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	commit := b.ids.New()
	loan := b.loan(t, "u1", commit)
	b.do(t, func(tx app.Tx) {
		tx.InsertAccount(b.account("u1"), b.now)
		tx.InsertLoans([]app.Loan{loan})
	})
	for _, statement := range []string{
		`SET SESSION check_constraint_checks = 0`, // MariaDB: let a figure in that no code can write
		`UPDATE credit_accounts SET used_minor = 5, held_minor = -1`,
		`INSERT INTO instalments (loan_id, sequence, due_date, principal_minor, interest_minor, fee_minor, paid_principal_minor, paid_interest_minor,
			paid_fee_minor, state) VALUES ('no such loan....', 1, '2026-01-01', 1, 1, 1, 0, 0, 0, 1)`,
		`UPDATE credit_accounts SET overdue_loans = 1, credit_minor = 1`,
		`INSERT INTO repayments (id, user_id, caller, request_id, fingerprint, kind, target, channel, currency_code, amount_minor, state, version, create_time,
			ask_time) VALUES ('p...............', 'u1', 'c', 'r', REPEAT('f', 32), 1, '{}', 'VA', 'IDR', 9, 2, 1, '2026-01-01', '2026-01-01')`,
		`INSERT INTO journal_lines VALUES ('j...............', 1, 'CREDIT_COMMITMENT', 'u9', 'lon_x', 'CREDIT_HELD', 'IDR', 7, 0, '2026-01-01'),
			('k...............', 1, 'CREDIT_COMMITMENT', 'u9', 'lon_x', 'CREDIT_HELD', 'IDR', 7, 0, '2026-01-01'),
			('k...............', 2, 'FEE_RECEIVABLE', 'u1', 'lon_x', 'CREDIT_HELD', 'IDR', 7, 0, '2026-01-01')`,
		`INSERT INTO reservations VALUES ('r...............', 'u1', 1, REPEAT('f', 32), 'IDR', 5, 1, '2026-01-01', NULL, NULL)`,
		`DELETE FROM products WHERE code = 'SPL_ID'`,
		`UPDATE loans SET draft_time = '2026-01-01', shrunk_minor = 1, refunded_minor = 1, payable_minor = 1`,
		`INSERT INTO loan_refunds SELECT 'f...............', id, order_id, 3, 'IDR', 5, 5, 4, '{}', 'a', '2026-01-01' FROM loans`,
		`INSERT INTO refund_sources (refund_id, repayment_id, loan_id, amount_minor) SELECT 'f...............', 'p...............', id, 3 FROM loans`,
		`INSERT INTO loan_facts (loan_id, fact_id, kind, value_date, amount_minor, actor, cause, create_time)
			SELECT id, 'e...............', 3, '2026-01-01', 5, 'a', 'c', '2026-01-01' FROM loans`,
	} {
		if err := onOne(t.Context(), b.db, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	first := b.findings(t)
	for _, statement := range []string{
		`UPDATE loans SET state = 2, outstanding_minor = principal_minor, user_id = 'u7'`,
		`INSERT INTO instalments (loan_id, sequence, bill_date, due_date, billed, principal_minor, interest_minor, fee_minor, late_minor, paid_principal_minor,
			paid_interest_minor, paid_fee_minor, open_principal_minor, open_interest_minor, open_fee_minor, open_late_minor, state)
			SELECT id, 1, '2999-01-25', '2999-02-05', 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 4 FROM loans`,
		`UPDATE loans SET roll_time = '2026-01-01'`,
		`INSERT INTO user_codes (id, user_id, purpose, code_mac, code_sealed, state, live, wrong_tries, resends, use_id, version, create_time, send_time,
			expire_time) VALUES ('i...............', 'u1', 1, REPEAT('x', 32), 'code', 1, 1, 0, 0, '', 1, '2026-01-01', '2026-01-01', '2026-01-01')`,
		`INSERT INTO products SELECT product_code, product_version, '{"contract_version":"v"}', '2020-01-01', '2020-01-01' FROM loans`,
		`INSERT INTO esign_rule VALUES ('2020-01-01', 1)`,
		`INSERT INTO esign_signatures VALUES ('s...............', 'u1', 'SPL_ID', 'v', '2026-02-01')`,
		`INSERT INTO esign_contracts VALUES ('c...............', 'CP-1', 'u1', 'k...............', 'g...............', 'SPL_ID', 1, 'v', 't',
			REPEAT('x', 32), REPEAT('x', 32), 'pdf', '2026-02-01')`,
		`INSERT INTO esign_challenges (id, user_id, checkout_id, product_code, contract_version, code_mac, code_sealed, state, live, wrong_tries, resends,
			sign_request_id, version, create_time, send_time, expire_time, verify_time) VALUES
			('h...............', 'u1', 'k...............', 'SPL_ID', 'v', REPEAT('x', 32), 'code', 2, NULL, 0, 0, 'r', 1, '2026-01-01', '2026-01-01', '2026-01-01', '2026-01-01')`,
	} {
		if err := onOne(t.Context(), b.db, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, statement := range []string{
		`UPDATE approval_since SET since = '1970-01-01'`,
		`INSERT INTO loan_facts (loan_id, fact_id, kind, value_date, amount_minor, actor, cause, create_time, void_time, void_actor)
			SELECT id, 'w...............', 5, '2026-01-01', 0, 'ADMIN:a', 'c', '2026-01-01', '2026-01-01', 'ADMIN:a' FROM loans`,
		`INSERT INTO account_changes (id, account_id, actor, what, reason, after_json, create_time)
			SELECT 'y...............', id, 'ADMIN:a', 'PayOutCreditBalance', 'r', '{}', '2026-01-01' FROM credit_accounts`,
		`INSERT INTO approval_requests SELECT 'q...............', 'WaiveFee', 'lon_x', NULL, 'ADMIN:a', 'admin:a', 'r', 's', 'IDR', 1, 1, 'u1', '', '2026-01-01',
			'{}', REPEAT('f', 32), NULL, NULL, 0, 3, '', '', '', 1, '2026-01-01', NULL, '2026-01-01'`,
	} {
		if err := onOne(t.Context(), b.db, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	second := b.findings(t)
	for _, statement := range []string{`UPDATE credit_accounts SET user_id = 'u7'`, `UPDATE loans SET state = 4`,
		`INSERT INTO bills (id, user_id, bill_date, due_date, state, version, create_time, look_time) VALUES
			('b...............', 'u7', '2999-01-25', '2999-02-05', 1, 1, '2026-01-01', NULL), ('c...............', 'u7', '2026-01-25', '2026-02-05', 1, 1, '2026-01-01', '2026-01-01')`,
	} {
		if err := onOne(t.Context(), b.db, statement); err != nil {
			t.Fatal(err)
		}
	}
	found := slices.Concat(first, second, b.findings(t))
	shared := desk.Audit("") // Package desk has offenders for these.
	for _, c := range store.Audit() {
		if slices.ContainsFunc(shared, func(s audit.Check) bool { return s.Name == c.Name }) {
			continue
		}
		if !slices.Contains(found, c.Name) {
			t.Errorf("check %s found nothing", c.Name)
		}
	}
}

// onOne runs a statement on a connection that checks no constraints.
func onOne(ctx context.Context, db *mysqlx.DB, statement string) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, `SET SESSION check_constraint_checks = 0`); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, statement)
	return err
}

func (b *bed) findings(t *testing.T) []string {
	t.Helper()
	found, err := audit.Run(t.Context(), b.db, "bill", b.now, store.Audit())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Check)
		if strings.Contains(f.ID, ":") {
			t.Errorf("%s: id %q is not typed", f.Check, f.ID)
		}
	}
	return names
}

func TestAuditStreamGivesTheLoanThatCounts(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	a, c := b.loan(t, "u1", b.ids.New()), b.loan(t, "u1", b.ids.New())
	voidA, voidC, laterC := a, c, c
	var err error
	if voidA.Loan, err = a.Void(b.now); err != nil {
		t.Fatal(err)
	}
	if voidC.Loan, err = c.Void(b.now); err != nil {
		t.Fatal(err)
	}
	a.ID, laterC.ID = b.ids.New(), b.ids.New()
	b.do(t, func(tx app.Tx) { tx.InsertLoans([]app.Loan{{Loan: draftOf(voidA.Loan)}, {Loan: draftOf(voidC.Loan)}}) })
	b.do(t, func(tx app.Tx) { tx.UpdateDraft(voidA); tx.UpdateDraft(voidC) })
	b.do(t, func(tx app.Tx) { tx.InsertLoans([]app.Loan{a, laterC}) })
	if laterC.Loan, err = laterC.Void(b.now); err != nil {
		t.Fatal(err)
	}
	b.do(t, func(tx app.Tx) { tx.UpdateDraft(laterC) })
	rows, err := b.db.QueryContext(t.Context(), store.AuditStream())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var got []string
	for rows.Next() {
		var order, state string
		var principal int64
		if err := rows.Scan(&order, &state, &principal); err != nil || len(order) != 32 || principal != 100_000 {
			t.Fatal(order, principal, err)
		}
		got = append(got, state)
	}
	if err := rows.Err(); err != nil || !slices.Equal(got, []string{"DRAFT", "VOID"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// draftOf is the loan as it was before it was void.
func draftOf(l domain.Loan) domain.Loan {
	l.State, l.EndTime = domain.LoanDraft, time.Time{}
	return l
}
