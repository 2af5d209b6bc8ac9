package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/chromedp/chromedp"
)

// operator reads, in Temporal's Web UI, what a workflow was given: nothing before
// signing in at the codec's page, all of it then, and nothing after signing out.
type operator struct {
	*window
	codec, token string
	// workflow is the address of a payment's workflow in the Web UI.
	workflow string
}

// readPayloads is the operator's course. The payment is a payer's, and finished.
func readPayloads(browser context.Context, m *mall, shots string) error {
	token, err := os.ReadFile(m.codecToken)
	if err != nil {
		return fmt.Errorf("the token of make up's operator: %w", err)
	}
	w, closeWindow, err := openWindow(browser, devices()["pc"], look{language: "en-GB", colours: "light"}, shots)
	if err != nil {
		return err
	}
	defer closeWindow()
	p, err := m.ask(w.ctx, 900)
	if err != nil {
		return err
	}
	if err := m.cancel(w.ctx, p.ID); err != nil {
		return err
	}
	if err := m.becomes(w.ctx, p.ID, "closed"); err != nil {
		return err
	}
	o := operator{w, m.stack.CodecURL, strings.TrimSpace(string(token)),
		m.stack.TemporalUI + "/namespaces/suanpan/workflows/" + url.PathEscape("payment/"+p.ID)}
	for _, step := range []func() error{o.sees(false, "encrypted", p.ID), o.signsIn, o.sees(true, "decrypted", p.ID), o.signsOut,
		o.sees(false, "encrypted-again", p.ID)} {
		if err := step(); err != nil {
			return errors.Join(err, o.keep("lost"))
		}
	}
	return nil
}

// sees opens the workflow and looks whether its input can be read. The payment's id is on
// the page in any case; that it is the field of an object is in the payload alone.
func (o operator) sees(readable bool, name, paymentID string) func() error {
	return func() error {
		if err := o.open(o.workflow); err != nil {
			return err
		}
		input := "/\"id\":\\s*\"" + paymentID + "\"/.test(document.body.innerText)"
		shown := map[bool]string{true: input, false: "document.body.innerText.includes('Payloads are encrypted')"}[readable]
		if err := o.await(shown, "true"); err != nil {
			return err
		}
		if err := o.await(input, strconv.FormatBool(readable)); err != nil {
			return err
		}
		return o.keep(name)
	}
}

func (o operator) signsIn() error {
	if err := o.open(o.codec); err != nil {
		return err
	}
	if err := o.do(chromedp.SendKeys("#token", o.token, chromedp.ByQuery)); err != nil {
		return err
	}
	return o.pressed(`form[action="/sign-in"] button`, `form[action="/sign-out"]`, "signed-in")
}

func (o operator) signsOut() error {
	if err := o.open(o.codec); err != nil {
		return err
	}
	return o.pressed(`form[action="/sign-out"] button`, `form[action="/sign-in"]`, "signed-out")
}

// pressed presses a button, after which the page has the other form.
func (o operator) pressed(button, form, name string) error {
	if err := o.do(chromedp.Click(button, chromedp.ByQuery)); err != nil {
		return err
	}
	if err := o.await("!!document.querySelector('"+form+"')", "true"); err != nil {
		return err
	}
	return o.keep(name)
}
