//! What the rows look like after each of the bot's events.

use jiff::Timestamp;

use super::{Event, FILLS, ORDERS, Worker};
use crate::engines::worker::{Audit, Fill, FundingPayment, FundingSnapshot, Order, Snapshot, StatusChange};
use crate::sim::actor::{Effect, Image, image, jsonb_text, text, timestamp_text};

pub(super) fn effects(bot: &Worker, event: &Event) -> Vec<Effect> {
    match event {
        Event::Place(order) | Event::PlaceTwice(order, _) => vec![order_row(placed(order))],
        Event::Status(change) => vec![order_row(said(bot, change))],
        Event::Fill(fill) | Event::FillTwice(fill, _) => {
            let mut order = bot.of_id(fill.order_id).row.clone();
            order.insert("status".into(), Some(fill.status.as_str().into()));
            order.insert("updated_at".into(), time(fill.filled_at));
            vec![Effect::row(FILLS, &["id"], filled(fill)), order_row(order)]
        }
        Event::Reconcile(snapshot) => vec![Effect::row("worker.state_snapshots", &["id"], reconciled(snapshot))],
        Event::Audit(audit) => vec![Effect::row("worker.audit_log", &["id", "created_at"], noted(audit))],
        Event::Funding(funding) => {
            vec![Effect::row("worker.funding_snapshots", &["id", "snapshot_at"], looked(funding))]
        }
        Event::Payment(payment) => vec![Effect::row("worker.funding_payments", &["id"], paid(payment))],
    }
}

fn order_row(row: Image) -> Effect {
    Effect::row(ORDERS, &["id"], row)
}

fn time(at: Timestamp) -> Option<String> {
    Some(timestamp_text(at.as_microsecond()))
}

fn placed(o: &Order) -> Image {
    image([
        ("id", text(o.id)),
        ("exchange", text(&o.exchange)),
        ("symbol", text(&o.symbol)),
        ("side", text(o.side.upper())),
        ("type", text(o.kind.as_str())),
        ("quantity_base", text(o.quantity_base)),
        ("price_quote", o.price_quote.map(|price| price.to_string())),
        ("status", text("PENDING")),
        ("exchange_order_id", None),
        ("idempotency_key", text(&o.idempotency_key)),
        ("created_at", time(o.placed_at)),
        ("updated_at", time(o.placed_at)),
    ])
}

fn said(bot: &Worker, change: &StatusChange) -> Image {
    let mut order = bot.of_id(change.order_id).row.clone();
    order.insert("status".into(), text(change.status.as_str()));
    if change.exchange_order_id.is_some() {
        order.insert("exchange_order_id".into(), change.exchange_order_id.clone());
    }
    order.insert("updated_at".into(), time(change.said_at));
    order
}

fn filled(f: &Fill) -> Image {
    image([
        ("id", text(f.id)),
        ("order_id", text(f.order_id)),
        ("exchange_fill_id", text(&f.exchange_fill_id)),
        ("price_quote", text(f.price_quote)),
        ("quantity_base", text(f.quantity_base)),
        ("fee_quote", text(f.fee_quote)),
        ("fee_asset", text(&f.fee_asset)),
        ("filled_at", time(f.filled_at)),
    ])
}

fn reconciled(s: &Snapshot) -> Image {
    image([("id", text(s.id)), ("snapshot", Some(jsonb_text(&s.snapshot))), ("reconciled_at", time(s.reconciled_at))])
}

fn noted(a: &Audit) -> Image {
    image([
        ("id", text(a.id)),
        ("event_type", text(a.event_type.as_str())),
        ("event_data", Some(jsonb_text(&a.event_data))),
        ("created_at", time(a.created_at)),
    ])
}

fn looked(f: &FundingSnapshot) -> Image {
    image([
        ("id", text(f.id)),
        ("exchange", text(&f.exchange)),
        ("symbol", text(&f.symbol)),
        ("funding_rate_bps", text(f.funding_rate_bps)),
        ("mark_price_quote", text(f.mark_price_quote)),
        ("index_price_quote", text(f.index_price_quote)),
        ("snapshot_at", time(f.snapshot_at)),
    ])
}

fn paid(p: &FundingPayment) -> Image {
    image([
        ("id", text(p.id)),
        ("exchange", text(&p.exchange)),
        ("symbol", text(&p.symbol)),
        ("asset", text(&p.asset)),
        ("amount_quote", text(p.amount_quote)),
        ("paid_at", time(p.paid_at)),
    ])
}
