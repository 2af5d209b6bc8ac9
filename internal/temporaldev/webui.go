package temporaldev

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// WebUIOptions says what Web UI is wanted. It is a program of its own and not the
// development server's, which cannot send an operator's session to where payloads are
// decrypted; and it is the one that stands beside a server of production.
type WebUIOptions struct {
	Binary Binary
	// Server is the Temporal server, as host:port.
	Server string
	// Port serves the pages on 127.0.0.1.
	Port int
	// Namespace is shown first.
	Namespace string
	// Codec is where payloads are decrypted for the operator's session.
	Codec string
	// Dir is a folder for its settings.
	Dir string
}

// WebUILaunch is a Web UI ready to be run.
type WebUILaunch struct {
	options WebUIOptions
	binary  string
}

// settingsName is what the settings' file is called, without its ending.
const settingsName = "webui"

// PrepareWebUI finds or builds the program and writes its settings; it starts nothing.
func PrepareWebUI(ctx context.Context, o WebUIOptions) (*WebUILaunch, error) {
	o.Binary.Program = WebUI()
	binary, err := o.Binary.Ensure(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := json.MarshalIndent(map[string]any{ // which is YAML as well
		"temporalGrpcAddress": o.Server, "host": "127.0.0.1", "port": o.Port, "enableUi": true, "defaultNamespace": o.Namespace,
		"codec": map[string]any{"endpoint": o.Codec, "includeCredentials": true,
			"defaultErrorMessage": "Payloads are encrypted: sign in where they are decrypted, then reload", "defaultErrorLink": o.Codec},
		"cors": map[string]any{"cookieInsecure": true}, // it is plain http, on this machine
		// Nothing is called beyond this machine.
		"notifyOnNewVersion": false, "hideLogs": true,
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the folder for the Web UI's settings: %w", err)
	}
	return &WebUILaunch{options: o, binary: binary}, os.WriteFile(filepath.Join(o.Dir, settingsName+".yaml"), settings, 0o600)
}

// Command returns the command that runs the Web UI in the foreground.
func (l *WebUILaunch) Command() (cmd *exec.Cmd, stop os.Signal) {
	return exec.Command(l.binary, "--root", l.options.Dir, "--config", ".", "--env", settingsName, "start"), syscall.SIGTERM
}

// URL is the base of its pages.
func (l *WebUILaunch) URL() string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(l.options.Port))
}
