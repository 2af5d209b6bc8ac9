package payload

import (
	"net/http"
	"strings"
	"time"
)

// The bounds of a session, for whoever makes Sessions: an operator reads payloads for a
// while and goes away, and reading them is the most that a session can do.
const (
	SessionIdle = 30 * time.Minute
	SessionLife = 8 * time.Hour
)

// cookieName binds the cookie to this very host where browsers come by https.
func (e *endpoint) cookieName() string {
	if e.Secure {
		return "__Host-" + cookie
	}
	return cookie
}

// keep has the browser keep a session, or drop it when token is "". The cookie goes
// along only with what the same site asks for, which is the Web UI beside this endpoint.
func (e *endpoint) keep(w http.ResponseWriter, token string) {
	age := int(SessionLife.Seconds())
	if token == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: e.cookieName(), Value: token, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: e.Secure, SameSite: http.SameSiteStrictMode})
}

// signIn begins a session of the operator with that token, in the place of the one
// that the browser may have.
func (e *endpoint) signIn(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimSpace(r.PostFormValue("token"))
	name, ok := e.operator(r, token)
	if !ok {
		http.Error(w, "no operator has this token", http.StatusUnauthorized)
		return
	}
	if before, err := r.Cookie(e.cookieName()); err == nil {
		if err := e.Sessions.End(r.Context(), before.Value); err != nil {
			e.unable(w, err)
			return
		}
	}
	session, err := e.Sessions.Begin(r.Context(), subjectOf(name, digest(token)))
	if err != nil {
		e.unable(w, err)
		return
	}
	e.keep(w, session)
	e.Log.Info("an operator signed in to read payloads", "operator", name, "remote", r.RemoteAddr)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// signOut ends every session of the operator, in other browsers too.
func (e *endpoint) signOut(w http.ResponseWriter, r *http.Request) {
	if name, subject := e.signedIn(r); name != "" {
		if err := e.Sessions.EndAll(r.Context(), subject); err != nil {
			e.unable(w, err)
			return
		}
		e.Log.Info("an operator signed out", "operator", name, "remote", r.RemoteAddr)
	}
	e.keep(w, "")
	w.Header().Set("Clear-Site-Data", `"cache", "cookies", "storage"`)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (e *endpoint) unable(w http.ResponseWriter, err error) {
	e.Log.Error("sessions cannot be kept", "error", err)
	http.Error(w, "cannot answer now", http.StatusServiceUnavailable)
}

// subjectOf is whom a session is of: an operator by the token that he signed in with,
// so that another token in the file, or none, ends it.
func subjectOf(name, digest string) string { return name + " " + digest }

// signedIn is the operator whose session the browser sent and who still stands in the
// file, or nobody.
func (e *endpoint) signedIn(r *http.Request) (name, subject string) {
	sent, err := r.Cookie(e.cookieName())
	if err != nil {
		return "", ""
	}
	subject, found, err := e.Sessions.Subject(r.Context(), sent.Value)
	if err != nil {
		e.Log.Error("sessions cannot be read", "error", err)
	}
	if err != nil || !found {
		return "", ""
	}
	known, err := readOperators(e.Operators)
	if err != nil {
		e.Log.Error("nobody can read payloads", "error", err)
		return "", ""
	}
	name, of, _ := strings.Cut(subject, " ")
	if known[of] != name {
		return "", ""
	}
	return name, subject
}

// caller is the operator who asks, by token or by session, and logs when there is none.
func (e *endpoint) caller(r *http.Request) (name string, ok bool) {
	if token, sent := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); sent {
		return e.operator(r, token)
	}
	if name, _ = e.signedIn(r); name == "" {
		e.refused(r)
	}
	return name, name != ""
}

// operator returns who has the token, and logs when nobody has.
func (e *endpoint) operator(r *http.Request, token string) (string, bool) {
	known, err := readOperators(e.Operators)
	if err != nil {
		e.Log.Error("nobody can read payloads", "error", err)
		return "", false
	}
	name, ok := known.who(token)
	if !ok {
		e.refused(r)
	}
	return name, ok
}

func (e *endpoint) refused(r *http.Request) {
	e.Log.Warn("somebody without a valid token asked for payloads", "event", "authentication_failed",
		"path", r.URL.Path, "remote", r.RemoteAddr)
}
