//! Sailing boats, far and near, on one wind.

use crate::colour::Colour;
use crate::props;
use crate::shapes::Point;
use crate::stage::Stage;

pub(super) fn paint(stage: &mut Stage) {
    let horizon = stage.rng.between(0.30, 0.68);
    stage.sky(horizon);
    stage.sea(horizon);
    if stage.rng.chance(0.6) {
        let relief = stage.rng.between(0.05, 0.16);
        let coast = stage.ridge(horizon - relief * 0.1, relief, 0.5);
        let colour = stage.light.far(Colour::hex(0x3f5a58), 0.35);
        stage.land(coast, colour, 5.0, horizon + 0.004);
    }
    let wind = stage.rng.side();
    let fleet = stage.rng.count(4, 9);
    let mut feet: Vec<f32> = (0..fleet)
        .map(|_| {
            let near = stage.rng.unit();
            horizon + 0.02 + (0.93 - horizon) * near * near
        })
        .collect();
    feet.sort_unstable_by(f32::total_cmp);
    for y in feet {
        let foot = Point { x: stage.across(), y };
        let size = 0.10 + (y - horizon) * stage.rng.between(1.0, 1.6);
        let haze = (0.35 - (y - horizon)).max(0.0);
        props::sailing_boat(stage, foot, size, wind, haze);
    }
    for _ in 0..stage.rng.count(0, 2) {
        let buoy = Point { x: stage.across(), y: stage.rng.between(horizon + 0.1, 0.95) };
        let size = (buoy.y - horizon) * 0.16;
        let colour = stage.light.on(Colour::hex(stage.rng.pick([0xd8411f, 0x1f7a46, 0xf0c020])));
        let cone = [(-0.5, 0.0), (-0.12, -1.3), (0.12, -1.3), (0.5, 0.0), (0.3, 0.2), (-0.3, 0.2)];
        stage.canvas.fill(&crate::shapes::placed(buoy, size, size, cone), |at| {
            colour.times(1.0 + (at.x - buoy.x) / size).ink()
        });
    }
    let flock = Point { x: stage.across(), y: stage.rng.between(0.1, horizon) };
    let span = stage.rng.between(0.04, 0.14);
    props::gulls(stage, flock, span);
}
