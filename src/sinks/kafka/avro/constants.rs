//! The records that are the same for every table, word for word as Debezium 3.6.3 defines them.

use serde_json::{Value, json};

/// A value's envelope around `row`, the record `Value` of the same namespace.
pub(super) fn envelope(namespace: &str, row: Value) -> Value {
    json!({
        "type": "record", "name": "Envelope", "namespace": namespace,
        "fields": [
            { "name": "before", "type": ["null", row], "default": null },
            { "name": "after", "type": ["null", "Value"], "default": null },
            { "name": "source", "type": source(Some("io.debezium.connector.postgresql")) },
            { "name": "transaction", "type": ["null", block()], "default": null },
            { "name": "op", "type": "string" },
            optional("ts_ms", "long"), optional("ts_us", "long"), optional("ts_ns", "long"),
        ],
        "connect.version": 2, "connect.name": format!("{namespace}.Envelope"),
    })
}

/// Where a change comes from. Without a namespace it has that of the record around it.
fn source(namespace: Option<&str>) -> Value {
    let mut record = json!({ "type": "record", "name": "Source" });
    if let Some(namespace) = namespace {
        record["namespace"] = namespace.into();
    }
    let allowed = "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental";
    let snapshot = json!({
        "type": "string", "connect.version": 1, "connect.parameters": { "allowed": allowed },
        "connect.default": "false", "connect.name": "io.debezium.data.Enum",
    });
    record["fields"] = json!([
        required("version", "string"), required("connector", "string"), required("name", "string"),
        required("ts_ms", "long"),
        { "name": "snapshot", "type": [snapshot, "null"], "default": "false" },
        required("db", "string"), optional("sequence", "string"), optional("ts_us", "long"), optional("ts_ns", "long"),
        required("schema", "string"), required("table", "string"), optional("txId", "long"), optional("lsn", "long"),
        optional("xmin", "long"), optional("origin", "string"), optional("origin_lsn", "long"),
    ]);
    record["connect.version"] = 1.into();
    record["connect.name"] = "io.debezium.connector.postgresql.Source".into();
    record
}

/// A change's numbers within its transaction.
fn block() -> Value {
    json!({
        "type": "record", "name": "block", "namespace": "event",
        "fields": [required("id", "string"), required("total_order", "long"), required("data_collection_order", "long")],
        "connect.version": 1, "connect.name": "event.block",
    })
}

/// A `point`.
pub(super) fn point() -> Value {
    json!({
        "type": "record", "name": "Point", "namespace": "io.debezium.data.geometry",
        "fields": [required("x", "double"), required("y", "double"), optional("wkb", "bytes"), optional("srid", "int")],
        "connect.doc": "Geometry (POINT)", "connect.version": 1, "connect.name": "io.debezium.data.geometry.Point",
    })
}

/// A `numeric` of any scale.
pub(super) fn variable_scale_decimal() -> Value {
    json!({
        "type": "record", "name": "VariableScaleDecimal", "namespace": "io.debezium.data",
        "fields": [required("scale", "int"), required("value", "bytes")],
        "connect.doc": "Variable scaled decimal", "connect.version": 1,
        "connect.name": "io.debezium.data.VariableScaleDecimal",
    })
}

/// A logical message's key.
pub(super) fn message_key() -> Value {
    postgres("MessageKey", json!([optional("prefix", "string")]))
}

/// A logical message.
pub(super) fn message_value() -> Value {
    let message = json!({
        "type": "record", "name": "Message", "fields": [optional("prefix", "string"), optional("content", "bytes")],
        "connect.version": 1, "connect.name": "io.debezium.connector.postgresql.Message",
    });
    let fields = json!([
        required("op", "string"), optional("ts_ms", "long"),
        { "name": "source", "type": source(None) },
        { "name": "transaction", "type": ["null", block()], "default": null },
        { "name": "message", "type": message },
    ]);
    postgres("MessageValue", fields)
}

/// The key of a transaction's begin and end.
pub(super) fn transaction_key() -> Value {
    common("TransactionMetadataKey", json!([required("id", "string")]))
}

/// A transaction's begin or end.
pub(super) fn transaction_value() -> Value {
    let collection = json!({
        "type": "record", "name": "collection", "namespace": "event",
        "fields": [required("data_collection", "string"), required("event_count", "long")],
        "connect.version": 1, "connect.name": "event.collection",
    });
    let collections = json!({ "type": "array", "items": ["null", collection] });
    let fields = json!([
        required("status", "string"), required("id", "string"), optional("event_count", "long"),
        { "name": "data_collections", "type": ["null", collections], "default": null },
        required("ts_ms", "long"),
    ]);
    common("TransactionMetadataValue", fields)
}

/// A heartbeat's key.
pub(super) fn heartbeat_key() -> Value {
    common("ServerNameKey", json!([required("serverName", "string")]))
}

/// A heartbeat.
pub(super) fn heartbeat_value() -> Value {
    common("Heartbeat", json!([required("ts_ms", "long")]))
}

fn postgres(name: &str, fields: Value) -> Value {
    record("io.debezium.connector.postgresql", name, fields)
}

fn common(name: &str, fields: Value) -> Value {
    record("io.debezium.connector.common", name, fields)
}

fn record(namespace: &str, name: &str, fields: Value) -> Value {
    json!({
        "type": "record", "name": name, "namespace": namespace, "fields": fields,
        "connect.version": 1, "connect.name": format!("{namespace}.{name}"),
    })
}

fn required(name: &str, of_type: &str) -> Value {
    json!({ "name": name, "type": of_type })
}

fn optional(name: &str, of_type: &str) -> Value {
    json!({ "name": name, "type": ["null", of_type], "default": null })
}
