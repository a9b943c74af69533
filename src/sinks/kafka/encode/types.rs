//! Postgres's built-in types by OID, and the types of a database that stand for them.
//!
//! OIDs below 16384 never change between versions (`pg_type.dat`). The others are told by Type messages, which name a
//! domain's *base* type: so a domain over a built-in type is written like that type. Its type modifier is not told: a
//! domain over `numeric(10,2)` looks like `numeric`. Two more are guessed by their names: `hstore`, and arrays, which Postgres
//! names after their elements with `_` before (`_mood`).

use std::collections::HashMap;

/// Which form a type has, whatever the modes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Integer(Width),
    Float(Precision),
    Numeric,
    Money,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Bytes,
    Bits,
    Point,
    Text(Meaning),
}

/// How wide an integer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Width {
    Two,
    Four,
    /// And `oid`, which has four bytes without a sign.
    Eight,
}

/// How precise a floating point number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Precision {
    Single,
    Double,
}

/// What a text is, for formats that say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Meaning {
    Plain,
    Uuid,
    Json,
    Xml,
    Tsvector,
}

const TEXT: Kind = Kind::Text(Meaning::Plain);

/// OID, OID of the array of it, name, kind. Types that are missing are text, as are arrays that are missing.
const BUILT_IN: &[(u32, u32, &str, Kind)] = &[
    (16, 1000, "bool", Kind::Bool),
    (17, 1001, "bytea", Kind::Bytes),
    (18, 1002, "char", TEXT),
    (19, 1003, "name", TEXT),
    (20, 1016, "int8", Kind::Integer(Width::Eight)),
    (21, 1005, "int2", Kind::Integer(Width::Two)),
    (23, 1007, "int4", Kind::Integer(Width::Four)),
    (25, 1009, "text", TEXT),
    (26, 1028, "oid", Kind::Integer(Width::Eight)),
    (114, 199, "json", Kind::Text(Meaning::Json)),
    (142, 143, "xml", Kind::Text(Meaning::Xml)),
    (600, 1017, "point", Kind::Point),
    (601, 1018, "lseg", TEXT),
    (602, 1019, "path", TEXT),
    (603, 1020, "box", TEXT),
    (604, 1027, "polygon", TEXT),
    (628, 629, "line", TEXT),
    (650, 651, "cidr", TEXT),
    (700, 1021, "float4", Kind::Float(Precision::Single)),
    (701, 1022, "float8", Kind::Float(Precision::Double)),
    (718, 719, "circle", TEXT),
    (774, 775, "macaddr8", TEXT),
    (790, 791, "money", Kind::Money),
    (829, 1040, "macaddr", TEXT),
    (869, 1041, "inet", TEXT),
    (1042, 1014, "bpchar", TEXT),
    (1043, 1015, "varchar", TEXT),
    (1082, 1182, "date", Kind::Date),
    (1083, 1183, "time", Kind::Time),
    (1114, 1115, "timestamp", Kind::Timestamp),
    (1184, 1185, "timestamptz", Kind::TimestampTz),
    (1186, 1187, "interval", Kind::Interval),
    (1266, 1270, "timetz", Kind::TimeTz),
    (1560, 1561, "bit", Kind::Bits),
    (1562, 1563, "varbit", Kind::Bits),
    (1700, 1231, "numeric", Kind::Numeric),
    (2950, 2951, "uuid", Kind::Text(Meaning::Uuid)),
    (3220, 3221, "pg_lsn", TEXT),
    (3614, 3643, "tsvector", Kind::Text(Meaning::Tsvector)),
    (3615, 3645, "tsquery", TEXT),
    (3802, 3807, "jsonb", Kind::Text(Meaning::Json)),
    (3904, 3905, "int4range", TEXT),
    (3906, 3907, "numrange", TEXT),
    (3908, 3909, "tsrange", TEXT),
    (3910, 3911, "tstzrange", TEXT),
    (3912, 3913, "daterange", TEXT),
    (3926, 3927, "int8range", TEXT),
    (4072, 4073, "jsonpath", TEXT),
    (4451, 6150, "int4multirange", TEXT),
    (4532, 6151, "nummultirange", TEXT),
    (4533, 6152, "tsmultirange", TEXT),
    (4534, 6153, "tstzmultirange", TEXT),
    (4535, 6155, "datemultirange", TEXT),
    (4536, 6157, "int8multirange", TEXT),
];

/// The array of `box`, the only type whose elements stand between semicolons.
const BOX_ARRAY: u32 = 1020;

/// What a column's type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One(Kind),
    /// Elements of the type with this OID, between delimiters.
    Many {
        element: u32,
        kind: Kind,
        delimiter: u8,
    },
    /// `hstore`, by its name.
    Hstore,
    /// An array of texts, by its name.
    ManyByName,
}

/// The types of a database that are not built in, as far as its Type messages told.
#[derive(Debug, Clone, Default)]
pub struct Types {
    known: HashMap<u32, Known>,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    /// A domain over the built-in type with this OID.
    Domain(u32),
    Hstore,
    Array,
}

impl Types {
    /// Takes in a Type message. `schema` is empty or `pg_catalog` for a built-in type, which then is a domain's base.
    pub fn learn(&mut self, oid: u32, schema: &str, name: &str) {
        let known = match (schema, name) {
            ("" | "pg_catalog", name) => built_in(name).map(Known::Domain),
            (_, "hstore") => Some(Known::Hstore),
            (_, name) => name.starts_with('_').then_some(Known::Array),
        };
        match known {
            Some(known) => self.known.insert(oid, known),
            None => self.known.remove(&oid),
        };
    }

    /// The shape of a column's values. What is not known is text.
    pub(super) fn shape_of(&self, type_oid: u32) -> Shape {
        let oid = match self.known.get(&type_oid) {
            Some(Known::Hstore) => return Shape::Hstore,
            Some(Known::Array) => return Shape::ManyByName,
            Some(Known::Domain(base)) => *base,
            None => type_oid,
        };
        for &(one, many, _, kind) in BUILT_IN {
            if one == oid {
                return Shape::One(kind);
            }
            if many == oid {
                return Shape::Many { element: one, kind, delimiter: if many == BOX_ARRAY { b';' } else { b',' } };
            }
        }
        Shape::One(TEXT)
    }
}

/// The OID of a built-in type, or of the array of one.
fn built_in(name: &str) -> Option<u32> {
    let find = |name: &str| BUILT_IN.iter().find(|(_, _, known, _)| *known == name);
    let array = || name.strip_prefix('_').and_then(find).map(|(_, array, _, _)| *array);
    find(name).map(|(one, _, _, _)| *one).or_else(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_written_like_their_base_and_the_rest_as_text() {
        let mut types = Types::default();
        types.learn(20_001, "", "numeric");
        types.learn(20_002, "pg_catalog", "_int4");
        types.learn(20_003, "public", "numeric");
        types.learn(20_004, "public", "mood");
        types.learn(20_005, "public", "_mood");
        types.learn(20_006, "extensions", "hstore");
        let check = |oid, want| assert_eq!(types.shape_of(oid), want, "{oid}");
        check(20_001, Shape::One(Kind::Numeric));
        check(20_002, Shape::Many { element: 23, kind: Kind::Integer(Width::Four), delimiter: b',' });
        check(20_003, Shape::One(TEXT));
        check(20_004, Shape::One(TEXT));
        check(20_005, Shape::ManyByName);
        check(20_006, Shape::Hstore);
        check(99_999, Shape::One(TEXT));
        check(1020, Shape::Many { element: 603, kind: TEXT, delimiter: b';' });
    }

    #[test]
    fn no_type_stands_in_the_table_twice() {
        let mut seen = std::collections::HashSet::new();
        assert!(BUILT_IN.iter().flat_map(|(one, many, _, _)| [one, many]).all(|oid| seen.insert(oid)));
    }

    #[test]
    fn the_table_is_that_of_postgres() {
        for (one, many, name, _) in BUILT_IN {
            let known = postgres_types::Type::from_oid(*one).unwrap();
            assert_eq!((known.name(), known.oid()), (*name, *one));
            let array = postgres_types::Type::from_oid(*many).unwrap();
            assert_eq!(*array.kind(), postgres_types::Kind::Array(known), "{name}");
        }
    }
}
