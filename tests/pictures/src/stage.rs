//! The setting of a scene: the canvas, the light, and the backdrops that many scenes share (sky, sea, land).

use crate::canvas::Canvas;
use crate::colour::{Colour, Ink};
use crate::light::{Hour, Light};
use crate::noise::Noise;
use crate::numbers::{self, mix, step};
use crate::rng::Rng;
use crate::shapes::{self, Point};

/// Number of points at which a skyline is computed: about one for each pixel of a large picture.
const TRACED: u16 = 2048;

/// Everything that painting a scene needs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) canvas: Canvas,
    pub(crate) rng: Rng,
    pub(crate) light: Light,
    pub(crate) noise: Noise,
    /// The position of the sun or the moon.
    pub(crate) sun: Point,
}

impl Stage {
    /// Returns an empty stage; everything on it follows from the generator's state.
    pub(crate) fn new(mut rng: Rng, hour: Hour, width: u32, height: u32) -> Self {
        let canvas = Canvas::new(width, height);
        let light = Light::new(hour, &mut rng);
        let noise = Noise::new(&mut rng, height);
        let sun = Point { x: rng.between(0.08, 0.92) * canvas.aspect(), y: rng.between(0.08, 0.5) };
        Self { canvas, rng, light, noise, sun }
    }

    /// Returns a random position across the width.
    pub(crate) fn across(&mut self) -> f32 {
        self.rng.unit() * self.canvas.aspect()
    }

    /// Paints the sky, from the top down to `horizon`, with its sun or moon, its stars and its clouds.
    pub(crate) fn sky(&mut self, horizon: f32) {
        let Self { canvas, rng, light, noise, sun } = self;
        let (light, sun) = (*light, *sun);
        canvas.wash(0.0, horizon, |at| {
            let share = step(0.0, 1.0, at.y / horizon.max(0.01));
            let (x, y) = (at.x - sun.x, at.y - sun.y);
            let near = 1.0 / (1.0 + 14.0 * (x * x + y * y));
            light.zenith.towards(light.horizon, share).towards(light.disc, near * 0.45).ink()
        });
        if light.hour == Hour::Night {
            for _ in 0..rng.count(60, 160) {
                let star = Point { x: rng.unit() * canvas.aspect(), y: rng.unit() * horizon };
                canvas.glow(star, rng.between(0.003, 0.009), light.disc, rng.between(0.4, 1.0));
            }
        }
        let radius = rng.between(0.035, 0.085);
        if light.hour != Hour::Grey {
            canvas.glow(sun, radius * 3.0, light.disc, 0.5);
            canvas.fill(&shapes::ellipse(sun, radius, radius), |_| light.disc.ink());
        }
        // Clouds: thick where the noise is high, bright on the side where it decreases towards the sun.
        let cover = match light.hour {
            Hour::Grey => rng.between(0.40, 0.50),
            Hour::Dawn | Hour::Noon | Hour::Dusk | Hour::Night => rng.between(0.44, 0.60),
        };
        let (wide, tall) = (rng.between(1.3, 3.2), rng.between(2.6, 7.5));
        let (slant, drift) = (rng.between(-1.2, 1.2), rng.between(0.0, 40.0));
        let towards = if sun.x > canvas.aspect() / 2.0 { 0.16 } else { -0.16 };
        canvas.wash(0.0, horizon, |at| {
            let (x, y) = (at.x * wide + drift, at.y * tall + at.x * slant);
            let density = noise.fractal(x, y, 4);
            let opacity = step(cover, cover + 0.10, density);
            if opacity <= 0.0 {
                return light.cloud.sheer(0.0);
            }
            let fall = (density - noise.fractal(x + towards, y - 0.22, 2)) * 5.0;
            light.cloud.towards(light.lining, (0.45 + fall).clamp(0.0, 1.0)).sheer(opacity * 0.92)
        });
    }

    /// Paints the sea, from `top` to the bottom: waves that flatten with distance, and the sun's path on
    /// them.
    pub(crate) fn sea(&mut self, top: f32) {
        let Self { canvas, rng, light, noise, sun } = self;
        let (light, sun) = (*light, *sun);
        let (swell, drift) = (rng.between(0.35, 0.8), rng.between(0.0, 40.0));
        let (shoal, lean) = (rng.between(1.2, 3.0), rng.between(-2.5, 2.5));
        let path = if light.hour == Hour::Grey { 0.1 } else { 0.75 };
        canvas.wash(top, 1.0, |at| {
            let depth = (at.y - top) / (1.0 - top).max(0.01);
            let away = 1.0 / (depth + 0.09);
            let wave = noise.fractal((at.x + lean) * away * 2.2 + drift, away * 9.0 * swell + at.y * 22.0, 3);
            let patch = noise.fractal(at.x * shoal + drift, depth * 3.0 + at.x * lean, 2);
            let crest = step(0.42, 0.72, wave * 0.72 + patch * 0.34);
            let water = light.deep.towards(light.crest, crest).times(0.75 + patch * 0.5);
            let breadth = 0.05 + depth * 0.22;
            let glitter = (1.0 - (at.x - sun.x).abs() / breadth).max(0.0) * step(0.40, 0.62, wave);
            water
                .towards(light.horizon, (0.6 - depth * 3.0).max(0.0))
                .towards(light.disc, glitter * path)
                .ink()
        });
    }

    /// Paints land below a skyline: the colour with grain, lit from above and darker further down.
    pub(crate) fn land(&mut self, skyline: impl Fn(f32) -> f32, colour: Colour, grain: f32, bottom: f32) {
        let Self { canvas, noise, .. } = self;
        canvas.ground(
            skyline,
            |at, below| {
                let rough = noise.fractal(at.x * grain, at.y * grain * 1.4, 4);
                colour.times(mix(0.35, 1.45, rough) * mix(1.12, 0.7, (below * 2.2).min(1.0))).ink()
            },
            bottom,
        );
    }

    /// Returns the skyline of a ridge around a height: hills where `rough` is low, crags where it is high.
    pub(crate) fn ridge(&mut self, height: f32, relief: f32, rough: f32) -> impl Fn(f32) -> f32 + use<> {
        let noise = Noise::new(&mut self.rng, 4096);
        let (drift, scale) = (self.rng.between(0.0, 40.0), self.rng.between(1.1, 2.4));
        self.traced(&|x| {
            let hills = noise.value(x * scale + drift, 0.5) - 0.5;
            let crags = noise.fractal(x * scale * 3.0 + drift, 7.5, 6) - 0.5;
            height + relief * (hills + crags * rough)
        })
    }

    /// Returns the skyline, computed once at many points, so that it is cheap to read at every pixel.
    pub(crate) fn traced(&self, skyline: &dyn Fn(f32) -> f32) -> impl Fn(f32) -> f32 + use<> {
        // A little more than the width, for shapes that reach over the edge.
        let (start, span) = (-0.25, self.canvas.aspect() + 0.5);
        let heights: Vec<f32> = (0..TRACED)
            .map(|place| skyline(start + span * f32::from(place) / f32::from(TRACED - 1)))
            .collect();
        let scale = f32::from(TRACED - 1) / span;
        move |x| {
            let place = ((x - start) * scale).clamp(0.0, f32::from(TRACED - 2));
            let left = numbers::index(place);
            mix(heights[left], heights[left + 1], place - left as f32)
        }
    }

    /// Returns the ink of a lit or dark window pane.
    pub(crate) fn pane(&mut self) -> Ink {
        let lit = self.light.lamps() && self.rng.chance(0.62);
        let lamp = self.rng.pick([0xffd77a, 0xffc257, 0xfff0b8]);
        if lit { Colour::hex(lamp).ink() } else { self.light.on(Colour::hex(0x263646)).ink() }
    }
}
