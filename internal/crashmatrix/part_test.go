//go:build chaos

package crashmatrix_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/child"
)

// part is one process of a world. When it dies by itself it is started again,
// without any wish.
type part struct {
	*world
	name    string
	command func(extra []string) *exec.Cmd

	mu      sync.Mutex
	process *child.Process
	deaths  []string
	over    bool
	watch   sync.WaitGroup
}

// newPart describes a process with the configuration that both programs share.
func (w *world) newPart(name, program string, args []string, own string) *part {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + w.dir,
		"SUANPAN_ENV=dev", "SUANPAN_DATABASE_URL=" + w.db.URL, "SUANPAN_DATABASE_MAX_CONNS=6",
		"SUANPAN_TEMPORAL_ADDRESS=" + w.core.TemporalAddress, "SUANPAN_TEMPORAL_NAMESPACE=" + w.core.TemporalNamespace,
		"SUANPAN_ALIPAY_GATEWAY_URL=" + w.sandbox + "/alipay/gateway.do", "SUANPAN_WECHATPAY_BASE_URL=" + w.sandbox + "/wechatpay",
		"SUANPAN_MASTER_KEY_FILE=" + filepath.Join(w.dir, "secrets", "master.key"), "SUANPAN_PUBLIC_URL=" + w.apiURL,
		"SUANPAN_WEBHOOK_DIAL_ALLOW=127.0.0.0/8", own}
	p := &part{world: w, name: name, command: func(extra []string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = append(append([]string{}, env...), extra...)
		return cmd
	}}
	w.parts = append(w.parts, p)
	return p
}

func (p *part) logFile() string { return filepath.Join(p.dir, p.name+".log") }

// log is the end of the process's log.
func (p *part) log() string {
	text, _ := os.ReadFile(p.logFile())
	return string(text[max(0, len(text)-4000):])
}

func (p *part) start(extra []string) {
	p.Helper()
	require.NoError(p, p.run(extra))
}

func (p *part) run(extra []string) error {
	process, err := child.Start(child.Options{Cmd: p.command(extra), Log: p.logFile(), DieWithParent: true})
	if err != nil {
		return err
	}
	p.process = process
	p.watch.Go(func() {
		<-process.Done()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.over {
			return
		}
		p.deaths = append(p.deaths, process.Err().Error())
		if err := p.run(nil); err != nil {
			p.Errorf("%s does not start again: %v", p.name, err)
		}
	})
	return nil
}

// died lists how the process ended by itself.
func (p *part) died() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.deaths...)
}

// kills is how many processes were killed. One that finds no Temporal in time when
// it starts ends by itself, and is started again.
func (w *world) kills() (n int) {
	w.Helper()
	for _, p := range w.parts {
		for _, how := range p.died() {
			if how == "signal: killed" {
				n++
				continue
			}
			require.Equal(w, "exit status 1", how, p.name)
		}
	}
	return n
}

// stop ends the process for good, without ceremony: what it leaves is of no use.
func (p *part) stop() {
	p.mu.Lock()
	p.over = true
	process := p.process
	p.mu.Unlock()
	if process != nil {
		_ = process.Stop(time.Millisecond)
	}
	p.watch.Wait()
	if p.Failed() {
		p.Logf("%s died %s; its log ends:\n%s", p.name, strings.Join(p.died(), ", "), p.log())
	}
}
