package channel

import (
	"slices"
	"time"
)

// Product is a way in which a payer pays. Providers name them differently; an
// adapter's Offers say which of them it has.
type Product string

const (
	// ProductQR: the payer scans a code that we show (Alipay precreate, WeChat Pay Native).
	ProductQR Product = "qr"
	// ProductPage: the payer's PC browser goes to the provider and comes back (Alipay page pay).
	ProductPage Product = "page"
	// ProductWAP: the payer's mobile browser goes to the provider, which opens its
	// app where it can, and comes back (Alipay WAP, WeChat Pay H5).
	ProductWAP Product = "wap"
	// ProductApp: the tenant's own mobile app hands parameters to the provider's SDK.
	ProductApp Product = "app"
	// ProductJSAPI: a page or mini program inside the provider's app hands
	// parameters to the app it runs in.
	ProductJSAPI Product = "jsapi"
	// ProductBarcode: the cashier scans the code on the payer's phone. The money
	// may move in the call itself: see CodeCollector.
	ProductBarcode Product = "barcode"
)

// Products returns every product there is, in the order they are shown.
func Products() []Product {
	return []Product{ProductQR, ProductPage, ProductWAP, ProductApp, ProductJSAPI, ProductBarcode}
}

// Known reports whether p is one of Products.
func (p Product) Known() bool { return slices.Contains(Products(), p) }

// Need names something about the payer that an order of some product must carry;
// its text is the field's name in the API.
type Need string

const (
	// NeedPayerID: who the payer is to the provider (openid, buyer id); see PayerFinder.
	NeedPayerID Need = "payer_id"
	// NeedPayerIP: the payer's IP address.
	NeedPayerIP Need = "payer_ip"
	// NeedReturnURL: where the payer's browser comes back to.
	NeedReturnURL Need = "return_url"
	// NeedAuthCode: the code on the payer's phone, good for about a minute.
	NeedAuthCode Need = "auth_code"
)

// Offer is one product of a provider, as data: what to ask the payer for, and
// what to do with the answer.
type Offer struct {
	Product Product
	Action  ActionType
	Needs   []Need
	// Life is how long what the payer is given to pay by is good, counted from the
	// order; zero: as long as the trade can be paid.
	Life time.Duration
}

// ActionType says what has to happen next so that the payer can pay.
type ActionType string

const (
	// ActionRedirect: send the payer's browser to Action.URL.
	ActionRedirect ActionType = "redirect"
	// ActionQRCode: show Action.QRCode as a QR code.
	ActionQRCode ActionType = "qr_code"
	// ActionApp: hand Action.Params to the provider's SDK in the tenant's app.
	ActionApp ActionType = "app_params"
	// ActionJSAPI: hand Action.Params to the app that the page runs in.
	ActionJSAPI ActionType = "jsapi_params"
	// ActionForm: let the payer's browser post Action.Params to Action.URL.
	ActionForm ActionType = "form"
	// ActionNone: nothing; the payer may have to confirm on the phone.
	ActionNone ActionType = "none"
)

// Action is what the payer's side has to do next. Which fields are set follows
// from Type. It is safe to show to the payer.
type Action struct {
	Type   ActionType        `json:"type"`
	URL    string            `json:"url,omitempty"`
	QRCode string            `json:"qr_code,omitempty"`
	Params map[string]string `json:"params,omitempty"`
}
