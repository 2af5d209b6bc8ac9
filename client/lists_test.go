package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// pages serves a list of payments in three pages, the second one empty, and
// remembers what was asked.
func pages(t *testing.T, last func(w http.ResponseWriter)) (api *client.API, asked *[]string) {
	t.Helper()
	asked = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.RequestURI())
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Query().Get("cursor") {
		case "":
			_, _ = io.WriteString(w, `{"data":[{"id":"pay_1"},{"id":"pay_2"}],"next_cursor":"b"}`)
		case "b":
			_, _ = io.WriteString(w, `{"data":[],"next_cursor":"c"}`)
		default:
			last(w)
		}
	}))
	t.Cleanup(s.Close)
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1", Patience: -1})
	require.NoError(t, err)
	return api, asked
}

func lastPage(w http.ResponseWriter) {
	_, _ = io.WriteString(w, `{"data":[{"id":"pay_3"}],"next_cursor":null}`)
}

func TestAListIsReadPageByPage(t *testing.T) {
	t.Parallel()
	api, asked := pages(t, lastPage)
	limit := 2
	list := api.AllPayments(t.Context(), &client.ListPaymentsParams{Limit: &limit})
	require.Empty(t, *asked)
	for range 2 { // a list can be gone through again
		var ids []string
		for payment, err := range list {
			require.NoError(t, err)
			ids = append(ids, payment.ID)
		}
		require.Equal(t, []string{"pay_1", "pay_2", "pay_3"}, ids)
	}
	require.Equal(t, []string{"/v1/payments?limit=2", "/v1/payments?limit=2&cursor=b", "/v1/payments?limit=2&cursor=c"}, (*asked)[:3])
}

func TestNoPageIsAskedForThatNobodyWants(t *testing.T) {
	t.Parallel()
	api, asked := pages(t, lastPage)
	for payment, err := range api.AllPayments(t.Context(), nil) {
		require.NoError(t, err)
		if payment.ID == "pay_2" {
			break
		}
	}
	require.Len(t, *asked, 1)
}

func TestAListEndsWithTheErrorOfItsPage(t *testing.T) {
	t.Parallel()
	api, _ := pages(t, func(w http.ResponseWriter) { problem(w, http.StatusForbidden, "scope_missing") })
	var ids []string
	var last error
	for payment, err := range api.AllPayments(t.Context(), nil) {
		if last = err; err == nil {
			ids = append(ids, payment.ID)
		}
	}
	require.Equal(t, []string{"pay_1", "pay_2"}, ids)
	require.True(t, client.IsCode(last, "scope_missing"))
}

func TestAListThatIsNoPageIsAnError(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a,b\n") }))
	defer s.Close()
	api, err := client.New(client.Config{BaseURLs: []string{s.URL}, Key: "sk_test_1", Patience: -1})
	require.NoError(t, err)
	for _, err := range api.AllStatementLines(t.Context(), "acc_1", nil) {
		require.ErrorContains(t, err, "not a page in JSON")
	}
}
