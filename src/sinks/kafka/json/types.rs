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
    Integer,
    Float,
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
    Text,
}

/// OID, OID of the array of it, name, kind. Types that are missing are text, as are arrays that are missing.
const BUILT_IN: &[(u32, u32, &str, Kind)] = &[
    (16, 1000, "bool", Kind::Bool),
    (17, 1001, "bytea", Kind::Bytes),
    (18, 1002, "char", Kind::Text),
    (19, 1003, "name", Kind::Text),
    (20, 1016, "int8", Kind::Integer),
    (21, 1005, "int2", Kind::Integer),
    (23, 1007, "int4", Kind::Integer),
    (25, 1009, "text", Kind::Text),
    (26, 1028, "oid", Kind::Integer),
    (114, 199, "json", Kind::Text),
    (142, 143, "xml", Kind::Text),
    (600, 1017, "point", Kind::Point),
    (601, 1018, "lseg", Kind::Text),
    (602, 1019, "path", Kind::Text),
    (603, 1020, "box", Kind::Text),
    (604, 1027, "polygon", Kind::Text),
    (628, 629, "line", Kind::Text),
    (650, 651, "cidr", Kind::Text),
    (700, 1021, "float4", Kind::Float),
    (701, 1022, "float8", Kind::Float),
    (718, 719, "circle", Kind::Text),
    (774, 775, "macaddr8", Kind::Text),
    (790, 791, "money", Kind::Money),
    (829, 1040, "macaddr", Kind::Text),
    (869, 1041, "inet", Kind::Text),
    (1042, 1014, "bpchar", Kind::Text),
    (1043, 1015, "varchar", Kind::Text),
    (1082, 1182, "date", Kind::Date),
    (1083, 1183, "time", Kind::Time),
    (1114, 1115, "timestamp", Kind::Timestamp),
    (1184, 1185, "timestamptz", Kind::TimestampTz),
    (1186, 1187, "interval", Kind::Interval),
    (1266, 1270, "timetz", Kind::TimeTz),
    (1560, 1561, "bit", Kind::Bits),
    (1562, 1563, "varbit", Kind::Bits),
    (1700, 1231, "numeric", Kind::Numeric),
    (2950, 2951, "uuid", Kind::Text),
    (3220, 3221, "pg_lsn", Kind::Text),
    (3614, 3643, "tsvector", Kind::Text),
    (3615, 3645, "tsquery", Kind::Text),
    (3802, 3807, "jsonb", Kind::Text),
    (3904, 3905, "int4range", Kind::Text),
    (3906, 3907, "numrange", Kind::Text),
    (3908, 3909, "tsrange", Kind::Text),
    (3910, 3911, "tstzrange", Kind::Text),
    (3912, 3913, "daterange", Kind::Text),
    (3926, 3927, "int8range", Kind::Text),
    (4072, 4073, "jsonpath", Kind::Text),
    (4451, 6150, "int4multirange", Kind::Text),
    (4532, 6151, "nummultirange", Kind::Text),
    (4533, 6152, "tsmultirange", Kind::Text),
    (4534, 6153, "tstzmultirange", Kind::Text),
    (4535, 6155, "datemultirange", Kind::Text),
    (4536, 6157, "int8multirange", Kind::Text),
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
        Shape::One(Kind::Text)
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
        check(20_002, Shape::Many { element: 23, kind: Kind::Integer, delimiter: b',' });
        check(20_003, Shape::One(Kind::Text));
        check(20_004, Shape::One(Kind::Text));
        check(20_005, Shape::ManyByName);
        check(20_006, Shape::Hstore);
        check(99_999, Shape::One(Kind::Text));
        check(1020, Shape::Many { element: 603, kind: Kind::Text, delimiter: b';' });
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
