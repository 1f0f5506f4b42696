//! Numbers as people read them.

use std::time::Duration;

/// `12.3 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scale = 1_u64;
    while unit + 1 < UNITS.len() && bytes / scale >= 1024 {
        scale <<= 10;
        unit += 1;
    }
    if unit == 0 {
        return format!("{bytes} B");
    }
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    if tenths >= 1000 {
        format!("{} {}", tenths / 10, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// `850 µs`, `12.3 ms`, `4.21 s`, `2 min 05 s`.
pub(crate) fn duration(time: Duration) -> String {
    let micros = time.as_micros();
    let seconds = time.as_secs();
    if micros < 1000 {
        format!("{micros} µs")
    } else if seconds < 1 {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else if seconds < 120 {
        format!("{:.2} s", time.as_secs_f64())
    } else if seconds < 7200 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60)
    }
}

/// [`duration`] of microseconds.
pub(crate) fn micros(us: u64) -> String {
    duration(Duration::from_micros(us))
}

/// `1 unit`, `2 units`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `5 min ago`, for a time in microseconds since the epoch.
pub(crate) fn ago(at: u64) -> String {
    let seconds = crate::events::now_us().saturating_sub(at) / 1_000_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86400),
    }
}

/// Rows as columns: the first to the left, all others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            line += &if column == 0 { format!("{cell}{pad}") } else { format!("  {pad}{cell}") };
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_fitting_units() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(200 << 20), "200 MiB");
        assert_eq!(bytes(u64::MAX), "16777215 TiB");
        assert_eq!(micros(850), "850 µs");
        assert_eq!(micros(12_340), "12.3 ms");
        assert_eq!(micros(4_210_000), "4.21 s");
        assert_eq!(micros(125_000_000), "2 min 05 s");
        assert_eq!(micros(7_500_000_000), "2 h 05 min");
        assert_eq!((count(1, "hit"), count(2, "hit")), ("1 hit".into(), "2 hits".into()));
    }

    #[test]
    fn tables_line_up_by_characters() {
        let rows = [vec!["a".into(), "1 µs".into()], vec!["bcd".into(), "22 ms".into()]];
        assert_eq!(table(&rows), "a     1 µs\nbcd  22 ms\n");
    }
}
