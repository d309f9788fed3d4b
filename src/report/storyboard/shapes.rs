//! The outlines of the vendor's shapes, as near as their names tell.

/// Returns the corners of a shape within a unit square; nothing for what is round or unknown.
pub(crate) fn corners(name: &str) -> Option<&'static [(f64, f64)]> {
    Some(match name {
        "Line_v2" => &[(0.0, 0.45), (1.0, 0.45), (1.0, 0.55), (0.0, 0.55)],
        "Arrow_1_v2" | "Arrow_2_v2" => {
            &[(0.0, 0.4), (0.7, 0.4), (0.7, 0.15), (1.0, 0.5), (0.7, 0.85), (0.7, 0.6), (0.0, 0.6)]
        }
        "Triangle" => &[(0.5, 0.0), (1.0, 1.0), (0.0, 1.0)],
        "Square" | "Rectangle_corner0" => &[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)],
        "Parallelogram" => &[(0.25, 0.0), (1.0, 0.0), (0.75, 1.0), (0.0, 1.0)],
        "Polygon" | "Hexagon_1" => {
            &[(0.25, 0.0), (0.75, 0.0), (1.0, 0.5), (0.75, 1.0), (0.25, 1.0), (0.0, 0.5)]
        }
        "Hexagon_2" => {
            &[(0.5, 0.0), (1.0, 0.25), (1.0, 0.75), (0.5, 1.0), (0.0, 0.75), (0.0, 0.25)]
        }
        "Pentagon" => &[(0.5, 0.0), (1.0, 0.38), (0.81, 1.0), (0.19, 1.0), (0.0, 0.38)],
        "Diamond" => &[(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)],
        "Drop_1" => &[(0.5, 0.0), (0.9, 0.55), (0.8, 0.9), (0.5, 1.0), (0.2, 0.9), (0.1, 0.55)],
        "Star" => &[
            (0.5, 0.0),
            (0.62, 0.35),
            (1.0, 0.38),
            (0.7, 0.6),
            (0.81, 1.0),
            (0.5, 0.77),
            (0.19, 1.0),
            (0.3, 0.6),
            (0.0, 0.38),
            (0.38, 0.35),
        ],
        _ => return None,
    })
}

/// Says whether a shape is round.
pub(crate) fn is_round(name: &str) -> bool {
    matches!(name, "Circle" | "Oval_1" | "Oval_2")
}
