//! Medians, and numbers as people read them.

use std::time::Duration;

/// The middle value, or the mean of the two middle ones; 0 for none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The least and the greatest value; zeroes for none.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().min_by(f64::total_cmp);
    let greatest = values.iter().copied().max_by(f64::total_cmp);
    (least.unwrap_or(0.0), greatest.unwrap_or(0.0))
}

/// Seconds with two decimals.
pub(crate) fn seconds(value: f64) -> String {
    format!("{value:.2} s")
}

/// `part / whole` with three decimals, as a factor; empty when there is no whole.
pub(crate) fn factor(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("×{:.3}", part / whole) } else { String::new() }
}

/// Bytes in MiB with one decimal. Exact up to 2^53 bytes.
#[expect(clippy::cast_precision_loss, reason = "a display of sizes far below 2^53")]
pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / (1u64 << 20) as f64)
}

/// Milliseconds with two decimals.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert!(median([]).abs() < f64::EPSILON);
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn factors_and_sizes_are_rounded() {
        assert_eq!(factor(1.5, 1.0), "×1.500");
        assert_eq!(factor(1.5, 0.0), "");
        assert_eq!(mebibytes(1_572_864.0), "1.5 MiB");
    }
}
