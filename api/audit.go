package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/internal/id"
)

// ListAuditEntries implements GET /v1/audit_entries.
func (h *handlers) ListAuditEntries(ctx context.Context, r gen.ListAuditEntriesRequestObject) (gen.ListAuditEntriesResponseObject, error) {
	c := callOf(ctx)
	list, err := h.auditLog(ctx, c.tenant, gen.ListPlatformAuditEntriesParams(r.Params),
		func(fn func(pgx.Tx) error) error { return h.read(c, fn) })
	if list.file != nil {
		return auditFile{*list.file}, err
	}
	return gen.ListAuditEntries200JSONResponse(list.page), err
}

// ListPlatformAuditEntries implements GET /v1/platform_audit_entries, as the system role.
func (h *handlers) ListPlatformAuditEntries(
	ctx context.Context, r gen.ListPlatformAuditEntriesRequestObject,
) (gen.ListPlatformAuditEntriesResponseObject, error) {
	c := callOf(ctx)
	list, err := h.auditLog(ctx, audit.Platform, r.Params, func(fn func(pgx.Tx) error) error { return h.opts.DB.AsSystem(c.ctx, fn) })
	if list.file != nil {
		return auditFile{*list.file}, err
	}
	return gen.ListPlatformAuditEntries200JSONResponse(list.page), err
}

// auditList is a page of the log, or all of it as a file.
type auditList struct {
	page gen.AuditEntryPage
	file *tableFile
}

func (h *handlers) auditLog(
	ctx context.Context, owner string, p gen.ListPlatformAuditEntriesParams, read func(func(pgx.Tx) error) error,
) (auditList, error) {
	page, err := readPage(p.Limit, p.Cursor, id.AuditEntry)
	if err != nil {
		return auditList{}, err
	}
	filter := audit.Filter{
		ObjectType: text(p.ObjectType), ObjectID: text(p.ObjectID), Actor: text(p.Actor), ActorKind: audit.Kind(text(p.ActorKind)),
		Operation: text(p.Operation), From: orZero(p.RecordedFrom), To: orZero(p.RecordedTo), Before: page.before, Limit: page.limit + 1,
	}
	within := callOf(ctx).ctx
	if format := formatOf(ctx, text(p.Format)); format != formatJSON {
		return auditList{file: &tableFile{format, "audit-" + owner, func(t table) error {
			return read(func(tx pgx.Tx) error { return fillAudit(within, tx, owner, filter, t) })
		}}}, nil
	}
	var list []audit.Entry
	err = read(func(tx pgx.Tx) (err error) {
		list, err = audit.List(within, tx, owner, filter)
		return err
	})
	data, next := cut(list, page.limit, func(e audit.Entry) string { return e.ID }, showAuditEntry)
	return auditList{page: gen.AuditEntryPage{Data: data, NextCursor: next}}, err
}

func fillAudit(ctx context.Context, tx pgx.Tx, owner string, filter audit.Filter, t table) error {
	err := t.row("id", "tenant_id", "recorded_at", "actor_kind", "api_key_id", "principal_id", "actor", "operation", "request_id",
		"action", "object_type", "object_id", "before", "after")
	if err != nil {
		return err
	}
	return audit.Stream(ctx, tx, owner, filter, func(e audit.Entry) error {
		return t.row(e.ID, e.TenantID, showTime(e.RecordedAt), e.Actor.Kind, e.Actor.KeyID, e.Actor.PrincipalID, e.Actor.Name,
			e.Actor.Operation, e.Actor.RequestID, e.Action, e.ObjectType, e.ObjectID, e.Before, e.After)
	})
}

func showAuditEntry(e audit.Entry) gen.AuditEntry {
	owner := e.TenantID
	if owner == audit.Platform {
		owner = ""
	}
	return gen.AuditEntry{
		ID: e.ID, TenantID: orNull(owner), RecordedAt: showTime(e.RecordedAt), ActorKind: gen.AuditActorKind(e.Actor.Kind),
		APIKeyID: orNull(e.Actor.KeyID), PrincipalID: orNull(e.Actor.PrincipalID), Actor: e.Actor.Name,
		Operation: orNull(e.Actor.Operation), RequestID: orNull(e.Actor.RequestID), Action: e.Action,
		ObjectType: e.ObjectType, ObjectID: e.ObjectID, Before: showObject(e.Before), After: showObject(e.After),
	}
}

// showObject is null for no object; numbers stay as they are written.
func showObject(raw json.RawMessage) *map[string]any {
	var object map[string]any
	if raw == nil || json.Unmarshal(raw, &object) != nil {
		return nil
	}
	return &object
}

// auditFile is the log as a file.
type auditFile struct{ tableFile }

func (f auditFile) VisitListAuditEntriesResponse(w http.ResponseWriter) error { return f.write(w) }

func (f auditFile) VisitListPlatformAuditEntriesResponse(w http.ResponseWriter) error {
	return f.write(w)
}
