//! The notation in which keys are listed.

/// One key: its name, group, kinds of device, what it is about, an example, and the form of its value with the field that
/// takes it.
macro_rules! key {
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal, defect $($form:tt)+) => {
        Setting { lab_only: true, ..key!($key, $group, $kinds, $about, $example, $($form)+) }
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal, flag $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example, "true or false", |parts, value| {
            parts.$($field).+ = $crate::settings::flag(value)?;
            Some(())
        })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal,
     number $low:literal..=$high:literal $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example, concat!("a whole number from ", $low, " to ", $high),
            |parts, value| {
                parts.$($field).+ = $crate::settings::number(value, $low..=$high)?;
                Some(())
            })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal,
     some number $low:literal..=$high:literal $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example, concat!("a whole number from ", $low, " to ", $high),
            |parts, value| {
                parts.$($field).+ = Some($crate::settings::number(value, $low..=$high)?);
                Some(())
            })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal,
     numbers $low:literal..=$high:literal $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example, concat!("a list of whole numbers from ", $low, " to ", $high),
            |parts, value| {
                parts.$($field).+ = $crate::settings::numbers(value, &($low..=$high))?.into_iter().collect();
                Some(())
            })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal, seconds $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example, "seconds, 0 to a year", |parts, value| {
            parts.$($field).+ = $crate::settings::seconds(value)?;
            Some(())
        })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal, some seconds $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example, "seconds, 0 to a year", |parts, value| {
            parts.$($field).+ = Some($crate::settings::seconds(value)?);
            Some(())
        })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal,
     word { $first:literal => $one:expr $(, $word:literal => $meaning:expr)* } $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example, concat!("\"", $first, "\"" $(, ", \"", $word, "\"")*),
            |parts, value| {
                parts.$($field).+ = $crate::settings::word(value, &[($first, $one) $(, ($word, $meaning))*])?;
                Some(())
            })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal,
     words { $first:literal => $one:expr $(, $word:literal => $meaning:expr)* } $($field:ident).+) => {
        key!(@ $key, $group, $kinds, $about, $example,
            concat!("a list of \"", $first, "\"" $(, ", \"", $word, "\"")*),
            |parts, value| {
                parts.$($field).+ = $crate::settings::words(value, &[($first, $one) $(, ($word, $meaning))*])?;
                Some(())
            })
    };
    ($key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal, own $expects:literal $apply:expr) => {
        key!(@ $key, $group, $kinds, $about, $example, $expects, $apply)
    };
    (@ $key:literal, $group:ident, $kinds:expr, $about:literal, $example:literal, $expects:expr, $apply:expr) => {
        Setting {
            key: $key,
            group: $crate::settings::Group::$group,
            about: $about,
            example: $example,
            kinds: $kinds,
            expects: $expects,
            lab_only: false,
            apply: $apply,
        }
    };
}
