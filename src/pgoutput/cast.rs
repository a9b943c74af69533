//! Values as `::text` prints them.
//!
//! `pgoutput` and COPY send what a type's output function prints. For almost every type the cast to `text` prints the
//! same; for these it does not (`pg_cast` names a function of its own):
//!
//! | type | output function | `::text` |
//! |---|---|---|
//! | `boolean` | `t`, `f` | `true`, `false` |
//! | `character(n)` | padded with blanks | without them |
//! | `inet` | `10.0.0.1` for a host | `10.0.0.1/32` |
//!
//! Domains over them are sent under their own OID, and keep the text that was sent.

use std::borrow::Cow;

const BOOL: u32 = 16;
const INET: u32 = 869;
const BPCHAR: u32 = 1042;

/// `type_modifier` of `character(n)` is n and this.
const BPCHAR_HEAD: i32 = 4;

/// What `::text` prints for a value that was sent as `sent`.
#[must_use]
pub fn to_text(type_oid: u32, sent: &[u8]) -> Cow<'_, [u8]> {
    match (type_oid, sent) {
        (BOOL, b"t") => Cow::Borrowed(b"true"),
        (BOOL, b"f") => Cow::Borrowed(b"false"),
        (BPCHAR, _) => Cow::Borrowed(without_padding(sent)),
        (INET, _) if !sent.contains(&b'/') => Cow::Owned([sent, host_mask(sent)].concat()),
        _ => Cow::Borrowed(sent),
    }
}

/// How the value that `::text` prints as `text` is sent: the inverse of [`to_text`].
#[must_use]
pub fn from_text(type_oid: u32, type_modifier: i32, text: &str) -> Cow<'_, str> {
    match (type_oid, text) {
        (BOOL, "true") => Cow::Borrowed("t"),
        (BOOL, "false") => Cow::Borrowed("f"),
        (BPCHAR, _) => {
            let width = usize::try_from(type_modifier - BPCHAR_HEAD).unwrap_or(0);
            let missing = width.saturating_sub(text.chars().count());
            Cow::Owned(format!("{text}{}", " ".repeat(missing)))
        }
        (INET, _) => {
            let mask = host_mask(text.as_bytes());
            let mask = std::str::from_utf8(mask).expect("a constant");
            Cow::Borrowed(text.strip_suffix(mask).unwrap_or(text))
        }
        _ => Cow::Borrowed(text),
    }
}

/// The mask of a single host of the address's family.
fn host_mask(address: &[u8]) -> &'static [u8] {
    if address.contains(&b':') { b"/128" } else { b"/32" }
}

/// Without blanks at the end; other white space stays.
fn without_padding(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_values_and_texts_go_there_and_back() {
        let check = |type_oid, type_modifier, sent: &str, text: &str| {
            assert_eq!(to_text(type_oid, sent.as_bytes()), text.as_bytes(), "{sent}");
            assert_eq!(from_text(type_oid, type_modifier, text), sent, "{text}");
        };
        check(BOOL, -1, "t", "true");
        check(BOOL, -1, "f", "false");
        check(BPCHAR, 9, "ab   ", "ab");
        check(BPCHAR, 6, "ä ", "ä");
        check(BPCHAR, 7, "a\t ", "a\t");
        check(INET, -1, "10.0.0.1", "10.0.0.1/32");
        check(INET, -1, "10.0.0.0/8", "10.0.0.0/8");
        check(INET, -1, "::1", "::1/128");
        check(INET, -1, "fe80::/10", "fe80::/10");
        check(25, -1, "t", "t");
    }
}
