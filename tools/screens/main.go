package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.dev, "dev", ".data/dev.json", "the file that starter dev wrote: addresses and the API key")
	flag.StringVar(&o.out, "out", "dist/screens", "folder for the pictures")
	flag.StringVar(&o.browser, "chromium", "", "the browser; found on PATH unless given")
	flag.BoolVar(&o.smoke, "smoke", false, "only four courses")
	only := flag.String("only", "", "only courses whose name matches this expression")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := o.match(*only)
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "screens:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	dev, out, browser string
	smoke             bool
	only              *regexp.Regexp
}

func (o *options) match(only string) (err error) {
	o.only, err = regexp.Compile(only)
	return err
}

// findBrowser names the package when there is no browser.
func (o *options) findBrowser() error {
	if o.browser != "" {
		return nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			o.browser = path
			return nil
		}
	}
	return errors.New("no Chromium on PATH: apt-get install chromium fonts-wqy-microhei, or name one with -chromium")
}

func run(ctx context.Context, o options) error {
	if err := o.findBrowser(); err != nil {
		return err
	}
	text, err := os.ReadFile(o.dev)
	if err != nil {
		return fmt.Errorf("no running stack (make up starts one): %w", err)
	}
	mall := &mall{codecToken: filepath.Join(filepath.Dir(o.dev), "codec-token")}
	if err := json.Unmarshal(text, &mall.stack); err != nil {
		return fmt.Errorf("%s: %w", o.dev, err)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	shop := httptest.NewServer(thanks())
	defer shop.Close()
	mall.shop = shop.URL
	if err := mall.open(ctx); err != nil {
		return err
	}
	window, closeWindow, err := openBrowser(ctx, o.browser)
	if err != nil {
		return err
	}
	defer closeWindow()
	began := time.Now()
	var failed []error
	count := 0
	for _, c := range courses() {
		if o.smoke && !c.smoke || !o.only.MatchString(c.name) {
			continue
		}
		count++
		start := time.Now()
		err := c.take(window, mall, filepath.Join(o.out, c.name))
		fmt.Printf("%-44s %5.1fs  %s\n", c.name, time.Since(start).Seconds(), verdict(err))
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	fmt.Printf("%d courses, %d failed, %.0f s; pictures in %s\n", count, len(failed), time.Since(began).Seconds(), o.out)
	if count == 0 {
		return errors.New("no course has such a name")
	}
	return errors.Join(failed...)
}

func verdict(err error) string {
	if err != nil {
		return "FAILED: " + err.Error()
	}
	return "ok"
}
