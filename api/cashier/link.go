package cashier

import (
	"net/http"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/money"
)

// link shows a payment link. Looking makes no payment: previews look too.
func (h *Handler) link(w http.ResponseWriter, r *http.Request) error {
	return h.showLink(w, r, http.StatusOK, "", "")
}

func (h *Handler) showLink(w http.ResponseWriter, r *http.Request, status int, entered, notice string) error {
	token := r.PathValue("token")
	link, err := h.desk.Link(r.Context(), token)
	if err != nil {
		return err
	}
	if link.Closed {
		h.say(w, r, http.StatusGone, "link_closed")
		return nil
	}
	h.show(w, status, "link.html", linkPage{page: h.page(r), Link: link, Path: LinkPath(token), Nonce: newNonce(),
		Entered: entered, Notice: notice})
	return nil
}

// openLink makes the payment and goes to its checkout.
func (h *Handler) openLink(w http.ResponseWriter, r *http.Request) error {
	entered := r.PostFormValue("amount")
	amount := money.Amount{}
	if entered != "" {
		var err error
		if amount, err = channel.ParseYuan(entered); err != nil {
			return h.showLink(w, r, http.StatusUnprocessableEntity, entered, "amount_wrong")
		}
	}
	checkout, err := h.desk.OpenLink(r.Context(), r.PathValue("token"), Opening{Nonce: readNonce(r), Amount: amount})
	if f, ok := fault.As(err); ok {
		switch f.Kind {
		case fault.KindInvalid:
			return h.showLink(w, r, http.StatusUnprocessableEntity, entered, "amount_wrong")
		case fault.KindRefused:
			h.say(w, r, http.StatusGone, "link_closed")
			return nil
		}
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, checkoutAt(checkout, asked{lang: readLang(r)}), http.StatusSeeOther)
	return nil
}
