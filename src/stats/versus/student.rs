//! Student's t: its 97.5th percentile, and the chance of what lies further out.

use crate::stats::resample::student;

/// The 97.5th percentile of Student's t.
pub fn critical(freedom: f64) -> f64 {
    const FEW: [f64; 5] = [12.706_2, 4.302_65, 3.182_45, 2.776_45, 2.570_58];
    if freedom >= 5.0 {
        return student(freedom);
    }
    // Between whole numbers a little more than it is, as if straight in their inverse.
    let freedom = freedom.max(1.0);
    let below = freedom.floor().min(4.0);
    let part = (1.0 / below - 1.0 / freedom) / (1.0 / below - 1.0 / (below + 1.0));
    let (from, to) = (FEW[below as usize - 1], FEW[below as usize]);
    from + (to - from) * part
}

/// How far from 0 a Student's t lies with this chance at most.
pub fn with_chance(chance: f64, freedom: f64) -> f64 {
    // Beyond so many it is normal to four digits, and the fraction below grows long.
    let freedom = freedom.clamp(1.0, 1e4);
    let (mut near, mut far) = (0.0, 1e6);
    for _ in 0..64 {
        let middle = f64::midpoint(near, far);
        match two_sided(middle, freedom) > chance {
            true => near = middle,
            false => far = middle,
        }
    }
    far
}

/// The chance of a Student's t at least so far from 0.
pub fn two_sided(t: f64, freedom: f64) -> f64 {
    incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t)).clamp(0.0, 1.0)
}

/// The regularised incomplete beta function, by its continued fraction (Press et al., Numerical Recipes,
/// section 6.4).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front * fraction(a, b, x) / a,
        false => 1.0 - front * fraction(b, a, 1.0 - x) / b,
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let not_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for m in 1..300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / not_zero(1.0 + term * d);
            c = not_zero(1.0 + term / c);
            value *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    value
}

/// Lanczos' approximation, right to ten digits.
fn ln_gamma(x: f64) -> f64 {
    const PARTS: [f64; 6] = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        0.001_208_650_973_866_179,
        -0.000_005_395_239_384_953,
    ];
    let base = x + 5.5;
    let sum =
        PARTS.iter().zip(1..).fold(1.000_000_000_190_015, |sum, (part, i)| sum + part / (x + f64::from(i)));
    (x + 0.5) * base.ln() - base + (2.506_628_274_631_000_5 * sum / x).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_chance_is_that_of_the_tables() {
        // R: qt(1 - chance / 2, v)
        let cases = [
            (0.05, 10.0, 2.228_14),
            (0.05, 30.0, 2.042_27),
            (0.05 / 12.0, 30.0, 3.101_7),
            (0.05 / 12.0, 1e6, 2.866_0),
            (0.2, 3.0, 1.637_74),
        ];
        for (chance, freedom, wanted) in cases {
            let t = with_chance(chance, freedom);
            assert!((t - wanted).abs() < 2e-3, "{chance}, {freedom}: {t}");
        }
    }

    #[test]
    fn students_percentiles_are_those_of_the_tables() {
        for (freedom, t) in [(1.0, 12.706), (2.0, 4.303), (2.5, 3.63), (4.0, 2.776), (10.0, 2.228)] {
            assert!((critical(freedom) - t).abs() < 0.05, "{freedom}: {}", critical(freedom));
        }
    }
}
