package bill_test

import (
	"archive/zip"
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/suanpan/suanpan/sandbox/bill"
	"github.com/suanpan/suanpan/sandbox/books"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a committed file, or rewrites it under -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "see testdata/%s; -update rewrites it", name)
}

// day has a payment with an awkward subject and a partial refund, at each provider.
func day(t *testing.T) (*books.Books, map[books.Provider]books.Merchant, *time.Location) {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	now := time.Date(2026, 3, 1, 23, 59, 59, 900_000_000, zone)
	b, err := books.Open(t.TempDir(), func() time.Time { return now })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	merchants := map[books.Provider]books.Merchant{
		books.Alipay:    {Provider: books.Alipay, ID: "2021000000000001", Account: "2088000000000001", FeeBasisPoints: 60},
		books.WeChatPay: {Provider: books.WeChatPay, ID: "1900000109", Account: "1900000109", AppID: "wx8888888888888888", FeeBasisPoints: 60, RefundFeeReturned: true},
	}
	for _, provider := range []books.Provider{books.Alipay, books.WeChatPay} { // movements are numbered in this order
		m := merchants[provider]
		require.NoError(t, b.Update("day", func(tx *books.Tx) error {
			tx.PutMerchant(m)
			_, err := tx.Move(books.Movement{Provider: provider, Merchant: m.ID, Account: m.Account, Kind: books.MovementTopUp, Number: "opening", Amount: 1000_00})
			return err
		}))
		require.NoError(t, b.Update("paid", func(tx *books.Tx) error {
			_, err := tx.Pay(books.Order{Provider: provider, Merchant: m.ID, Account: m.Account, AppID: m.AppID,
				Number: "01JNV5Q0Y8ZJ4T9X3N6W7K2M1A", ProviderNo: "2026030122001000000000000101", Token: string(provider),
				Subject: "=cmd(),`茶`\r\n\"tea\" 🍵", Attach: "a,b", Amount: 199_00, CreatedAt: now.Add(-time.Minute)}, m, "OTHERS")
			return err
		}))
		require.NoError(t, b.Update("refund", func(tx *books.Tx) error {
			o, _ := tx.Order(provider, m.ID, "01JNV5Q0Y8ZJ4T9X3N6W7K2M1A")
			_, _, err := tx.GiveBack(o, m, books.Refund{Provider: provider, Merchant: m.ID, OrderNumber: o.Number,
				Number: "01JNV5Q0Y8ZJ4T9X3N6W7K2M1B", ProviderNo: "50300202603010000000000000301", Amount: 100_00,
				State: books.RefundSuccess, CreatedAt: now, DoneAt: now})
			return err
		}))
	}
	return b, merchants, zone
}

func TestAlipayGolden(t *testing.T) {
	t.Parallel()
	b, merchants, zone := day(t)
	for name, makeFile := range map[string]func(books.Reader, books.Merchant, string, *time.Location) (bill.File, error){
		"alipay_trade": bill.AlipayTrade, "alipay_account": bill.AlipayAccountLog,
	} {
		var file bill.File
		require.NoError(t, b.View(func(r books.Reader) (err error) {
			file, err = makeFile(r, merchants[books.Alipay], "2026-03-01", zone)
			return err
		}))
		archive, err := zip.NewReader(bytes.NewReader(file.Content), int64(len(file.Content)))
		require.NoError(t, err)
		reader, err := archive.File[0].Open()
		require.NoError(t, err)
		text, err := io.ReadAll(simplifiedchinese.GBK.NewDecoder().Reader(reader))
		require.NoError(t, err)
		golden(t, name+".csv", text)
	}
}

func TestWeChatGolden(t *testing.T) {
	t.Parallel()
	b, merchants, zone := day(t)
	require.NoError(t, b.View(func(r books.Reader) error {
		m := merchants[books.WeChatPay]
		for _, kind := range []string{bill.TradeAll, bill.TradeSuccess, bill.TradeRefund} {
			file, ok, err := bill.WeChatTrade(r, m, "2026-03-01", kind, zone)
			require.NoError(t, err)
			require.True(t, ok)
			golden(t, "wechatpay_"+kind+".csv", file.Content)
		}
		file, ok, err := bill.WeChatFundFlow(r, m, m.Account, "2026-03-01", zone)
		require.NoError(t, err)
		require.True(t, ok)
		golden(t, "wechatpay_fundflow.csv", file.Content)
		_, ok, err = bill.WeChatTrade(r, m, "2026-03-02", bill.TradeAll, zone)
		require.False(t, ok, "a day belongs to Asia/Shanghai")
		return err
	}))
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	store := bill.NewStore(func() time.Time { return now })
	token := store.Put(bill.File{Name: "x"}, bill.AlipayLifetime)
	file, ok := store.Get(token)
	require.True(t, ok)
	require.Equal(t, "x", file.Name)
	now = now.Add(31 * time.Second)
	_, ok = store.Get(token)
	require.False(t, ok)
	_, ok = store.Get("")
	require.False(t, ok)
}
