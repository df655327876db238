//! Plots of what was measured.

use crate::Outcome;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;
use std::path::Path;

/// Pixels.
const SIZE: (u32, u32) = (720, 400);
/// How much higher it is than its highest point: the names stand there.
const ROOM: f64 = 1.35;
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 3] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
];

/// Points that belong together, and their name.
pub(crate) type Series = (&'static str, Vec<(f64, f64)>);

/// What a plot shows.
pub(crate) struct Plot<'a> {
    /// What it is about.
    pub(crate) title: &'a str,
    /// What grows.
    pub(crate) across: &'a str,
    /// What that costs.
    pub(crate) up: &'a str,
    /// Whether each step across is as many times the last.
    pub(crate) by_powers: bool,
    /// The measurements.
    pub(crate) series: &'a [Series],
}

impl Plot<'_> {
    /// Writes it as SVG.
    pub(crate) fn write(&self, file: &Path) -> Outcome<()> {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let bounds = points().fold((f64::MAX, f64::MIN), |(least, most), (x, _)| {
            (least.min(*x), most.max(*x))
        });
        let top = points().map(|(_, y)| *y).fold(0.0, f64::max) * ROOM;
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(said)?;
        let mut builder = ChartBuilder::on(&root);
        builder.caption(self.title, (FONT, 18)).margin(12);
        builder.x_label_area_size(40).y_label_area_size(70);
        if self.by_powers {
            let across = (bounds.0..bounds.1).log_scale();
            let chart = builder.build_cartesian_2d(across, 0.0..top);
            self.draw(chart.map_err(said)?)?;
        } else {
            let chart = builder.build_cartesian_2d(bounds.0..bounds.1, 0.0..top);
            self.draw(chart.map_err(said)?)?;
        }
        root.present().map_err(said)
    }

    fn draw<'a, X>(
        &self,
        mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Linear>>,
    ) -> Outcome<()>
    where
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.across)
            .y_desc(self.up)
            .light_line_style(WHITE);
        mesh.x_label_formatter(&|x| short(*x))
            .y_label_formatter(&|y| short(*y));
        mesh.draw().map_err(said)?;
        for ((name, points), colour) in self.series.iter().zip(COLOURS) {
            let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
            let line = chart.draw_series(line.point_size(3)).map_err(said)?;
            line.label(*name).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
            });
        }
        let mut labels = chart.configure_series_labels();
        labels.position(SeriesLabelPosition::UpperLeft);
        labels.background_style(WHITE).draw().map_err(said)
    }
}

type Linear = plotters::coord::types::RangedCoordf64;

fn said(error: impl std::fmt::Display) -> Box<dyn std::error::Error + Send + Sync> {
    error.to_string().into()
}

/// A number on an axis.
fn short(value: f64) -> String {
    // What is left of adding up steps is no part of it.
    match (value * 1e3).round() / 1e3 {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => format!("{v}"),
    }
}
