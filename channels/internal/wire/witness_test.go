package wire

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWitnessSeesRequestsAndTheirNumbers(t *testing.T) {
	t.Parallel()
	numbers := []string{"A1", "", "B2"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if numbers[0] != "" {
			w.Header().Set("Request-Id", numbers[0])
		}
		numbers = numbers[1:]
	}))
	t.Cleanup(server.Close)
	ctx, witness := Watch(t.Context())
	require.Zero(t, witness.Requests())
	require.Empty(t, witness.RequestID())
	for _, want := range []string{"A1", "A1", "B2"} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		response, err := Client(Options{MaxBody: 10}).Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, witness.RequestID())
	}
	require.Equal(t, 3, witness.Requests())
}
