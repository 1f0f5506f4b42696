//! How diagnostics are shown: not part of the first-level key.

use super::Reason;

/// `--error-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ErrorFormat {
    /// Text with source excerpts.
    #[default]
    Human,
    /// One line for each.
    Short,
    /// One JSON object a line.
    Json,
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Color {
    /// When standard error is a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--json`: a set, from all its occurrences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of one option")]
pub struct Json {
    /// `diagnostic-short`: the `rendered` field as with `--error-format=short`.
    pub short: bool,
    /// `diagnostic-unicode`: the `rendered` field drawn with Unicode.
    pub unicode: bool,
    /// `diagnostic-rendered-ansi`: colors in the `rendered` field.
    pub ansi: bool,
    /// `artifacts`: a notification for each file written.
    pub artifacts: bool,
    /// `future-incompat`: a report of future incompatibilities.
    pub future_incompat: bool,
}

/// The options that change how diagnostics are shown, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Diagnostics {
    /// `--error-format`.
    pub error_format: ErrorFormat,
    /// `--json`.
    pub json: Json,
    /// `--color`.
    pub color: Color,
    /// `--diagnostic-width`, in columns.
    pub width: Option<usize>,
}

/// Gathers [`Diagnostics`], and what is needed to see that rustc would reject them.
#[derive(Default)]
pub(super) struct Builder {
    shown: Diagnostics,
    json_given: bool,
    color_given: bool,
}

impl Builder {
    pub(super) fn error_format(&mut self, value: &str) -> Result<(), Reason> {
        self.shown.error_format = match value {
            "human" => ErrorFormat::Human,
            "short" => ErrorFormat::Short,
            "json" => ErrorFormat::Json,
            _ => return Err(Reason::InvalidValue("--error-format")),
        };
        Ok(())
    }

    pub(super) fn color(&mut self, value: &str) -> Result<(), Reason> {
        self.color_given = true;
        self.shown.color = match value {
            "auto" => Color::Auto,
            "always" => Color::Always,
            "never" => Color::Never,
            _ => return Err(Reason::InvalidValue("--color")),
        };
        Ok(())
    }

    pub(super) fn width(&mut self, value: &str) -> Result<(), Reason> {
        let width = value.parse().map_err(|_| Reason::InvalidValue("--diagnostic-width"))?;
        self.shown.width = Some(width);
        Ok(())
    }

    /// `unused-externs` (changes the exit status) and `timings` (never the same twice) are
    /// unstable and left out.
    pub(super) fn json(&mut self, value: &str) -> Result<(), Reason> {
        self.json_given = true;
        let json = &mut self.shown.json;
        for word in value.split(',') {
            match word {
                // The last of these two wins, as in rustc.
                "diagnostic-short" => (json.short, json.unicode) = (true, false),
                "diagnostic-unicode" => (json.short, json.unicode) = (false, true),
                "diagnostic-rendered-ansi" => json.ansi = true,
                "artifacts" => json.artifacts = true,
                "future-incompat" => json.future_incompat = true,
                _ => return Err(Reason::InvalidValue("--json")),
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Diagnostics, Reason> {
        let usable = !self.color_given && self.shown.error_format == ErrorFormat::Json;
        if self.json_given && !usable {
            return Err(Reason::ConflictingOptions("--json"));
        }
        Ok(self.shown)
    }
}
