package app_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

// Nobody writes a line of our log, or a field of one, by what they send us.
func TestALogLineIsOneLineWhateverItSays(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		"one\ntwo", "one\r\n{\"level\":\"INFO\",\"msg\":\"forged\"}", `","event":"forged`, "\x1b[2J\x1b[1;1H", "a\x00b", "a\u2028b\u2029c", "a\x85b",
		"\xff\xfe", "\u202eabc", strings.Repeat("long ", 5000),
	} {
		var out bytes.Buffer
		log := app.NewLogger(&out, config.Core{})
		log.With("route", said).WithGroup("inner").Info(said, "code", said, "error", said)
		line, rest, _ := strings.Cut(out.String(), "\n")
		require.Empty(t, rest, "%q began a second line", said)
		for _, r := range line {
			require.False(t, r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029, "%q: %q is in the line as it is", said, r)
		}
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), said)
		require.Len(t, fields, 5, "%q added a field", said)
		require.Equal(t, "INFO", fields["level"])
		at, err := time.Parse(time.RFC3339Nano, fields["time"].(string))
		require.NoError(t, err)
		require.Equal(t, time.UTC, at.Location())
		require.WithinDuration(t, time.Now(), at, time.Minute)
	}
}
