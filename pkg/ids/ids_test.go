package ids_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/creditpay/creditpay/pkg/clock"
	"github.com/creditpay/creditpay/pkg/ids"
)

var epoch = time.Date(2026, time.November, 22, 8, 0, 0, 123_456_789, time.UTC)

// The published vectors of TypeID v0.3:
// https://github.com/jetify-com/typeid/blob/main/spec/valid.yml
func TestValidVectorsOfTheSpec(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, typeid, prefix, uuid string }{
		{"nil", "00000000000000000000000000", "", "00000000-0000-0000-0000-000000000000"},
		{"one", "00000000000000000000000001", "", "00000000-0000-0000-0000-000000000001"},
		{"ten", "0000000000000000000000000a", "", "00000000-0000-0000-0000-00000000000a"},
		{"sixteen", "0000000000000000000000000g", "", "00000000-0000-0000-0000-000000000010"},
		{"thirty-two", "00000000000000000000000010", "", "00000000-0000-0000-0000-000000000020"},
		{"max-valid", "7zzzzzzzzzzzzzzzzzzzzzzzzz", "", "ffffffff-ffff-ffff-ffff-ffffffffffff"},
		{"valid-alphabet", "prefix_0123456789abcdefghjkmnpqrs", "prefix", "0110c853-1d09-52d8-d73e-1194e95b5f19"},
		{"valid-uuidv7", "prefix_01h455vb4pex5vsknk084sn02q", "prefix", "01890a5d-ac96-774b-bcce-b302099a8057"},
		{"prefix-underscore", "pre_fix_00000000000000000000000000", "pre_fix", "00000000-0000-0000-0000-000000000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := ids.FromUUID(uuid.MustParse(tt.uuid))
			if got := ids.Format(ids.Prefix(tt.prefix), want); got != tt.typeid {
				t.Errorf("Format = %q, want %q", got, tt.typeid)
			}
			got, err := ids.Parse(ids.Prefix(tt.prefix), tt.typeid)
			if err != nil || got != want || got.UUID().String() != tt.uuid {
				t.Errorf("Parse = %v, %v; want %s", got.UUID(), err, tt.uuid)
			}
		})
	}
}

// The published vectors of TypeID v0.3:
// https://github.com/jetify-com/typeid/blob/main/spec/invalid.yml
func TestInvalidVectorsOfTheSpec(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, typeid, prefix string
		want                 error
	}{
		{"prefix-uppercase", "PREFIX_00000000000000000000000000", "PREFIX", ids.ErrPrefix},
		{"prefix-numeric", "12345_00000000000000000000000000", "12345", ids.ErrPrefix},
		{"prefix-period", "pre.fix_00000000000000000000000000", "pre.fix", ids.ErrPrefix},
		{"prefix-non-ascii", "préfix_00000000000000000000000000", "préfix", ids.ErrPrefix},
		{"prefix-spaces", "  prefix_00000000000000000000000000", "prefix", ids.ErrPrefix},
		{"prefix-64-chars", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl_00000000000000000000000000", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl", ids.ErrPrefix},
		{"prefix-underscore-start", "_prefix_00000000000000000000000000", "_prefix", ids.ErrPrefix},
		{"prefix-underscore-end", "prefix__00000000000000000000000000", "prefix_", ids.ErrPrefix},
		{"separator-empty-prefix", "_00000000000000000000000000", "", ids.ErrPrefix},
		{"separator-empty", "_", "", ids.ErrPrefix},
		{"suffix-short", "prefix_1234567890123456789012345", "prefix", ids.ErrLength},
		{"suffix-long", "prefix_123456789012345678901234567", "prefix", ids.ErrLength},
		{"suffix-spaces", "prefix_1234567890123456789012345 ", "prefix", ids.ErrAlphabet},
		{"suffix-uppercase", "prefix_0123456789ABCDEFGHJKMNPQRS", "prefix", ids.ErrAlphabet},
		{"suffix-hyphens", "prefix_123456789-123456789-123456", "prefix", ids.ErrAlphabet},
		{"suffix-wrong-alphabet", "prefix_ooooooiiiiiiuuuuuuulllllll", "prefix", ids.ErrAlphabet},
		{"suffix-ambiguous-crockford", "prefix_i23456789ol23456789oi23456", "prefix", ids.ErrAlphabet},
		{"suffix-hyphens-crockford", "prefix_123456789-0123456789-0123456", "prefix", ids.ErrLength},
		{"suffix-overflow", "prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz", "prefix", ids.ErrOverflow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := ids.Parse(ids.Prefix(tt.prefix), tt.typeid); !errors.Is(err, tt.want) || !got.IsZero() {
				t.Errorf("Parse(%q) = %v, %v; want %v", tt.typeid, got, err, tt.want)
			}
		})
	}
}

func TestParseRefusesAnIDOfAnotherType(t *testing.T) {
	t.Parallel()
	id := ids.NewGenerator(clock.NewFake(epoch)).New()
	for _, s := range []string{
		ids.Format(ids.Payment, id), ids.Format("", id), ids.Format("ord_x", id), ids.Format("x_ord", id),
		"ord", "ord_", "", "_", "ord" + id.String(), "ORD_" + id.String(), id.UUID().String(),
	} {
		if got, err := ids.Parse(ids.Order, s); err == nil {
			t.Errorf("Parse(ord, %q) = %v", s, got)
		}
	}
	for _, s := range []string{ids.Format(ids.Payment, id), ids.Format("ord_x", id), ids.Format("x_ord", id)} {
		if _, err := ids.Parse(ids.Order, s); !errors.Is(err, ids.ErrPrefix) {
			t.Errorf("Parse(ord, %q): %v, want ErrPrefix", s, err)
		}
	}
}

func TestPrefixesAreValidAndDistinct(t *testing.T) {
	t.Parallel()
	all := []ids.Prefix{
		ids.Checkout, ids.Order, ids.Payment, ids.Commit, ids.Quote, ids.Loan, ids.Instalment, ids.Bill,
		ids.Refund, ids.Account, ids.Product, ids.Event, ids.Journal, ids.DeadLetter, ids.Hold,
	}
	seen := map[ids.Prefix]bool{}
	for _, p := range all {
		if !p.Valid() || len(p) != 3 || seen[p] {
			t.Errorf("prefix %q is invalid, not 3 letters, or used twice", p)
		}
		seen[p] = true
	}
}

func TestFormatAndParseRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var id, other ids.ID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		copy(other[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "other"))
		p := ids.Prefix(rapid.StringMatching(`([a-z]([a-z_]{0,20}[a-z])?)?`).Draw(t, "prefix"))
		if got, err := ids.Parse(p, ids.Format(p, id)); err != nil || got != id {
			t.Fatalf("Parse(Format(%v)) = %v, %v", id, got, err)
		}
		if strings.Compare(id.String(), other.String()) != bytes.Compare(id[:], other[:]) {
			t.Fatalf("text and bytes of %v and %v sort differently", id, other)
		}
	})
}

func TestGeneratorMakesUUIDv7OfTheClock(t *testing.T) {
	t.Parallel()
	id := ids.NewGenerator(clock.NewFake(epoch)).New()
	if u := id.UUID(); u.Version() != 7 || u.Variant() != uuid.RFC4122 {
		t.Errorf("%v has version %v, variant %v", u, u.Version(), u.Variant())
	}
	if want := epoch.Truncate(time.Millisecond); id.Time() != want {
		t.Errorf("Time = %v, want %v", id.Time(), want)
	}
	seconds, nanos := id.UUID().Time().UnixTime()
	if got := time.Unix(seconds, nanos); got.Sub(epoch).Abs() > time.Millisecond {
		t.Errorf("package uuid reads the time %v, want %v", got, epoch)
	}
}

func TestIDsOfAGeneratorAlwaysIncrease(t *testing.T) {
	t.Parallel()
	f := clock.NewFake(epoch)
	g := ids.NewGenerator(f)
	last := g.New()
	next := func(what string) {
		t.Helper()
		id := g.New()
		if bytes.Compare(last[:], id[:]) >= 0 || id.UUID().Version() != 7 {
			t.Fatalf("%s: %v does not follow %v", what, id, last)
		}
		last = id
	}
	// More than the 4096 ticks of a millisecond, on a clock that stands.
	for range 10_000 {
		next("standing clock")
	}
	for range 100 {
		f.Advance(250 * time.Nanosecond)
		next("moving clock")
	}
	for _, at := range []time.Time{epoch.Add(-time.Hour), {}, time.Unix(-1, 0), time.Date(60000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		f.Set(at)
		next("clock set to " + at.String())
		next("clock set to " + at.String())
	}
}

func TestConcurrentIDsAreDistinct(t *testing.T) {
	t.Parallel()
	g := ids.NewGenerator(clock.NewFake(epoch))
	made := make([][]ids.ID, 8)
	var wg sync.WaitGroup
	for i := range made {
		wg.Go(func() {
			for range 500 {
				made[i] = append(made[i], g.New())
			}
		})
	}
	wg.Wait()
	all := slices.Concat(made...)
	slices.SortFunc(all, func(a, b ids.ID) int { return bytes.Compare(a[:], b[:]) })
	if distinct := slices.Compact(slices.Clone(all)); len(distinct) != 4000 {
		t.Errorf("%d distinct ids of 4000", len(distinct))
	}
}

func TestTailIsRandomInEveryBit(t *testing.T) {
	t.Parallel()
	// Two generators of the same time: only the tail differs.
	var ones, zeros [8]byte
	for range 128 {
		id := ids.NewGenerator(clock.NewFake(epoch)).New()
		for i, b := range id[8:] {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	// 128 draws miss a value of one of 62 bits with probability 62 × 2^-127.
	want := [8]byte{0x3f, 255, 255, 255, 255, 255, 255, 255}
	for i := range want {
		if ones[i]&zeros[i] != want[i] {
			t.Errorf("byte %d of the tail varies in the bits %08b, want %08b", i, ones[i]&zeros[i], want[i])
		}
	}
}

func TestIDsTravelAsBytesInSQLAndTextInJSON(t *testing.T) {
	t.Parallel()
	id := ids.NewGenerator(clock.NewFake(epoch)).New()
	v, err := id.Value()
	raw, ok := v.([]byte)
	if err != nil || !ok || !bytes.Equal(raw, id[:]) {
		t.Fatalf("Value = %v, %v", v, err)
	}
	var back ids.ID
	if err := back.Scan(raw); err != nil || back != id {
		t.Errorf("Scan = %v, %v; want %v", back, err, id)
	}
	raw[0]++ // a driver reuses its buffer
	if back != id {
		t.Error("Scan kept the driver's buffer")
	}
	for _, src := range []any{nil, []byte{}, raw[:15], append(slices.Clone(raw), 0), id.String(), int64(1)} {
		if err := back.Scan(src); err == nil || back != id {
			t.Errorf("Scan(%v) = %v, %v; want an error and no change", src, back, err)
		}
	}
	data, err := json.Marshal(map[string]ids.ID{"id": id})
	if want := `{"id":"` + id.String() + `"}`; err != nil || string(data) != want {
		t.Errorf("Marshal = %s, %v; want %s", data, err, want)
	}
	var read map[string]ids.ID
	if err := json.Unmarshal(data, &read); err != nil || read["id"] != id {
		t.Errorf("Unmarshal = %v, %v", read, err)
	}
	if err := json.Unmarshal([]byte(`{"id":"x"}`), &read); !errors.Is(err, ids.ErrLength) {
		t.Errorf("Unmarshal of x: %v, want ErrLength", err)
	}
}

func TestNullIDIsNullOrBytes(t *testing.T) {
	t.Parallel()
	id := ids.NewGenerator(clock.NewFake(epoch)).New()
	for _, want := range []ids.NullID{ids.Null(id), ids.Null(ids.ID{})} {
		v, err := want.Value()
		if err != nil || (v == nil) == want.Valid {
			t.Errorf("Value of %v = %v, %v", want, v, err)
		}
		got := ids.NullID{ID: ids.ID{1}, Valid: true}
		if err := got.Scan(v); err != nil || got != want {
			t.Errorf("Scan(%v) = %v, %v; want %v", v, got, err, want)
		}
	}
	kept := ids.Null(id)
	if err := kept.Scan([]byte{1}); !errors.Is(err, ids.ErrLength) || kept != ids.Null(id) {
		t.Errorf("Scan of one byte = %v, %v", kept, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"ord_01h455vb4pex5vsknk084sn02q", "7zzzzzzzzzzzzzzzzzzzzzzzzz", "ord_8zzzzzzzzzzzzzzzzzzzzzzzzz", "_", "ord__"} {
		f.Add("ord", seed)
		f.Add("", seed)
	}
	f.Fuzz(func(t *testing.T, prefix, s string) {
		id, err := ids.Parse(ids.Prefix(prefix), s)
		if err != nil {
			return
		}
		// One spelling for each id: what parses is what would be written.
		if got := ids.Format(ids.Prefix(prefix), id); got != s {
			t.Errorf("Parse(%q, %q) formats as %q", prefix, s, got)
		}
	})
}
