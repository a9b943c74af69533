//! Dates, times and intervals in each mode.

use super::{DEFAULT, ISO, MICROSECONDS, NONE, check};

#[test]
fn dates_and_times_as_numbers() {
    let each = |type_oid, modifier, text: &str, adaptive: &str, microseconds: &str| {
        check(DEFAULT, type_oid, modifier, text, adaptive);
        check(MICROSECONDS, type_oid, modifier, text, microseconds);
    };
    each(1082, NONE, "2026-11-21", "20778", "20778");
    each(1082, NONE, "0044-03-15 BC", "-735160", "-735160");
    each(1082, NONE, "5874897-12-31", "2145042905", "2145042905");
    each(1082, NONE, "infinity", "is infinite", "is infinite");
    each(1082, NONE, "2026-02-30", "is not a date", "is not a date");
    each(1083, NONE, "12:34:56.789012", "45296789012", "45296789012");
    each(1083, 3, "12:34:56.789", "45296789", "45296789000");
    each(1083, 0, "24:00:00", "86400000", "86400000000");
    each(1083, NONE, "24:00:01", "is not a time", "is not a time");
    each(1114, NONE, "1970-01-01 00:00:00.000001", "1", "1");
    each(1114, 6, "2026-11-21 12:00:00", "1795262400000000", "1795262400000000");
    each(1114, 3, "2026-11-21 12:00:00.5", "1795262400500", "1795262400500000");
    each(1114, 0, "1969-12-31 23:59:59", "-1000", "-1000000");
    each(1114, 4, "1969-12-31 23:59:59.9999", "-100", "-100");
    each(1114, NONE, "0001-01-01 00:00:00 BC", "-62167219200000000", "-62167219200000000");
    each(1114, NONE, "10000-01-01 00:00:00", "253402300800000000", "253402300800000000");
    each(1114, 0, "294276-12-31 23:59:59", "9224318015999000", "is too late for microseconds");
    each(1114, NONE, "-infinity", "is infinite", "is infinite");
    each(1114, NONE, "2026-11-21", "is not a time", "is not a time");
}

#[test]
fn dates_and_times_as_text() {
    let check = |oid, modifier, text: &str, want: &str| check(ISO, oid, modifier, text, want);
    check(1082, NONE, "2026-11-21", "\"2026-11-21Z\"");
    check(1082, NONE, "infinity", "\"infinity\"");
    check(1082, NONE, "12026-11-21", "\"+12026-11-21Z\"");
    check(1083, NONE, "12:34:56.5", "\"12:34:56.5Z\"");
    check(1083, 3, "12:34:00", "\"12:34:00Z\"");
    check(1114, NONE, "2026-11-21 12:00:00.120000", "\"2026-11-21T12:00:00.12Z\"");
    check(1114, 0, "0044-03-15 12:00:00 BC", "\"-0043-03-15T12:00:00Z\"");
    check(1114, NONE, "-infinity", "\"-infinity\"");
}

#[test]
fn times_with_a_zone_are_text_in_every_mode() {
    for modes in [DEFAULT, MICROSECONDS, ISO] {
        let check = |oid, modifier, text: &str, want: &str| check(modes, oid, modifier, text, want);
        check(1184, NONE, "2026-11-21 12:00:00+00", "\"2026-11-21T12:00:00.000000Z\"");
        check(1184, NONE, "2026-11-21 12:00:00.5+00", "\"2026-11-21T12:00:00.500000Z\"");
        check(1184, 3, "2026-11-21 12:00:00.5+00", "\"2026-11-21T12:00:00.500Z\"");
        check(1184, 0, "2026-11-21 12:00:00+00", "\"2026-11-21T12:00:00Z\"");
        check(1184, NONE, "2026-11-21 23:30:00-05:30", "\"2026-11-22T05:00:00.000000Z\"");
        check(1184, NONE, "1800-01-01 00:00:00+00:53:28", "\"1799-12-31T23:06:32.000000Z\"");
        check(1184, NONE, "0044-03-15 12:00:00+00 BC", "\"-0043-03-15T12:00:00.000000Z\"");
        check(1184, NONE, "294276-12-31 23:59:59.999999+00", "\"+294276-12-31T23:59:59.999999Z\"");
        check(1184, NONE, "infinity", "\"infinity\"");
        check(1184, 3, "2026-11-21 12:00:00.0001+00", "has more fractional digits than its column");
        check(1266, NONE, "12:00:00+00", "\"12:00:00Z\"");
        check(1266, NONE, "12:00:00.25+02", "\"10:00:00.25Z\"");
        check(1266, NONE, "23:00:00-02:30", "\"01:30:00Z\"");
        check(1266, NONE, "24:00:00+00", "\"24:00:00Z\"");
        check(1266, NONE, "24:00:00+01", "\"23:00:00Z\"");
    }
}

#[test]
fn intervals() {
    let each = |text: &str, number: &str, iso: &str| {
        check(DEFAULT, 1186, NONE, text, number);
        check(ISO, 1186, NONE, text, iso);
    };
    each("00:00:00", "0", "\"P0Y0M0DT0H0M0S\"");
    each("1 year", "31557600000000", "\"P1Y0M0DT0H0M0S\"");
    each("1 mon", "2629800000000", "\"P0Y1M0DT0H0M0S\"");
    each("1 year 2 mons 3 days 04:05:06.789", "37091106789000", "\"P1Y2M3DT4H5M6.789S\"");
    each("-1 years -2 mons +3 days -04:05:06.000001", "-36572706000001", "\"P-1Y-2M3DT-4H-5M-6.000001S\"");
    each("-00:00:00.5", "-500000", "\"P0Y0M0DT0H0M-0.5S\"");
    each("100:00:00", "360000000000", "\"P0Y0M0DT100H0M0S\"");
    each("2147483647 days", "is too long for microseconds", "\"P0Y0M2147483647DT0H0M0S\"");
    each("infinity", "is infinite", "is infinite");
    each("P1Y", "is not an interval", "is not an interval");
    each("", "is not an interval", "is not an interval");
}
