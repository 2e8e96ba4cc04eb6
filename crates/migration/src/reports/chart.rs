//! Charts as inline SVG: no script, nothing from outside, the numbers readable in a table beside them.

use std::fmt::Write as _;

/// One line or row of bars.
#[derive(Clone, PartialEq, Debug)]
pub struct Series<'a> {
    /// What it shows.
    pub name: &'a str,
    /// One value per label.
    pub values: Vec<f64>,
    /// A line; else bars.
    pub line: bool,
}

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 24.0;
const COLOURS: [&str; 6] = ["#3f9c55", "#3b6fb6", "#d0801f", "#b0413e", "#7a5aa8", "#5b6470"];

/// Draws series over common labels.
#[must_use]
pub fn svg(title: &str, labels: &[String], series: &[Series<'_>]) -> String {
    let top = series
        .iter()
        .flat_map(|series| &series.values)
        .copied()
        .fold(0.0f64, f64::max);
    let top = nice(top);
    let count = labels.len().max(1);
    #[expect(clippy::cast_precision_loss, reason = "a chart has few labels")]
    let step = (WIDTH - LEFT) / count as f64;
    let height = HEIGHT - BOTTOM - TOP;
    let y = |value: f64| TOP + height - if top > 0.0 { value / top * height } else { 0.0 };
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">",
        escape(title)
    );
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        let _ = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"#c9ccd1\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>",
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            number(value)
        );
    }
    let bars = series.iter().filter(|series| !series.line).count().max(1);
    let (mut bar, mut legend) = (0usize, LEFT);
    for (position, series) in series.iter().enumerate() {
        let colour = COLOURS[position % COLOURS.len()];
        if series.line {
            let points: Vec<String> = (0u32..)
                .zip(&series.values)
                .map(|(at, v)| format!("{:.1},{:.1}", LEFT + step * (f64::from(at) + 0.5), y(*v)))
                .collect();
            let _ = write!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                points.join(" ")
            );
        } else {
            #[expect(clippy::cast_precision_loss, reason = "a chart has few series")]
            let (width, offset) = (
                step * 0.8 / bars as f64,
                step * 0.1 + step * 0.8 / bars as f64 * bar as f64,
            );
            for (at, value) in (0u32..).zip(&series.values) {
                let x = LEFT + step * f64::from(at) + offset;
                let _ = write!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"{:.1}\" fill=\"{colour}\"><title>{}: {} {}</title></rect>",
                    y(*value),
                    (y(0.0) - y(*value)).max(0.0),
                    escape(labels.get(at as usize).map_or("", String::as_str)),
                    escape(series.name),
                    number(*value)
                );
            }
            bar += 1;
        }
        let _ = write!(
            out,
            "<rect x=\"{legend:.0}\" y=\"4\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"13\">{}</text>",
            legend + 14.0,
            escape(series.name)
        );
        #[expect(clippy::cast_precision_loss, reason = "names are short")]
        {
            legend += 30.0 + 7.0 * series.name.len() as f64;
        }
    }
    // As many labels as can be read.
    let every = labels.len().div_ceil(10).max(1);
    for (at, label) in (0u32..).zip(labels).step_by(every) {
        let x = LEFT + step * (f64::from(at) + 0.5);
        let _ = write!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 18.0,
            escape(label)
        );
    }
    out.push_str("</svg>");
    out
}

/// A round number at or above a value.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|part| part * power)
        .find(|round| *round >= value)
        .unwrap_or(value)
}

fn number(value: f64) -> String {
    if value >= 1_000_000.0 {
        format!("{:.1}M", value / 1_000_000.0)
    } else if value >= 10_000.0 {
        format!("{:.0}k", value / 1000.0)
    } else if value.fract().abs() < 0.05 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_whole_and_carries_nothing_from_outside() {
        let labels: Vec<String> = (1..=30).map(|day| format!("2019-06-{day:02}")).collect();
        let series = [
            Series {
                name: "a<b",
                values: (0..30).map(f64::from).collect(),
                line: false,
            },
            Series {
                name: "c",
                values: vec![0.0; 30],
                line: true,
            },
        ];
        let drawn = svg("demand & capacity", &labels, &series);
        assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>"));
        assert!(drawn.contains("demand &amp; capacity") && drawn.contains("a&lt;b") && !drawn.contains("href"));
        assert_eq!(drawn.matches("<rect").count(), 30 + 2);
        assert!(svg("nothing", &[], &[]).ends_with("</svg>"));
    }
}
