package reach_test

import (
	"strings"
	"testing"

	"github.com/creditpay/creditpay/pkg/reach"
)

func TestRefuses_AddressesByForm(t *testing.T) {
	t.Parallel()
	type want struct{ hook, page, localHook, localPage bool }
	for address, ok := range map[string]want{
		"https://shop.example/hooks":               {true, true, true, true},
		"https://shop.example:8443/x?y=1":          {true, true, true, true},
		"https://shop.example:65535/":              {true, true, true, true},
		"https://shop.example/#/done":              {false, true, false, true},
		"https://10.0.0.1/":                        {false, true, false, true},
		"http://localhost:9/x":                     {false, false, true, true},
		"http://127.0.0.1:9/x":                     {false, false, true, true},
		"https://shop.example:0/":                  {},
		"https://shop.example:65536/":              {},
		"https://shop.example:99999999999/":        {},
		"https://shop.example:/":                   {},
		"http://localhost:0/":                      {},
		"http://localhost:70000/":                  {},
		"http://shop.example/":                     {},
		"https://a:b@shop.example/":                {},
		"javascript:alert(1)":                      {},
		"https://shop.example/\u202egnp":           {},
		"https://shop.example/\x00":                {},
		"https://shop.example/a b":                 {},
		"https://shop.example\\@evil.example/":     {},
		"https://shop.example/\nx":                 {},
		"//shop.example/":                          {},
		"":                                         {},
		"https://" + strings.Repeat("a", 2048):     {},
		"https://shop.example/" + "x\x1b[31m":      {},
		"data:text/html,<script>alert(1)</script>": {},
	} {
		got := want{
			reach.Reach{}.RefusesHook(address) == "", reach.Reach{}.RefusesPage(address) == "",
			reach.Reach{Loopback: true}.RefusesHook(address) == "", reach.Reach{Loopback: true}.RefusesPage(address) == "",
		}
		if got != ok {
			t.Errorf("%.60q is allowed as %+v, want %+v", address, got, ok)
		}
	}
}
