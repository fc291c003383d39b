//! Persistence diagrams of Vietoris–Rips filtrations in dimensions 0 and 1, over the field of two elements.
//!
//! The complex at scale r holds every set of points whose dissimilarities are all at most r. Edges are put in order by
//! their dissimilarity (ties by their points), and triangles by their last edge: a filtration in which everything enters
//! alone, and whose diagram is that of the scales.
//!
//! Dimension 0 is Kruskal's algorithm: classes die at the edges of the minimum spanning tree. Dimension 1 is the
//! reduction of the coboundary matrix in reverse order (de Silva, Morozov, Vejdemo-Johansson 2011, Dualities in
//! persistent (co)homology), without the columns of the tree's edges, which are known to vanish (clearing; Chen,
//! Kerber 2011, Persistent homology computation with a twist), and up to the scale where one point is joined with all
//! others: from there on the complex is a cone and has no holes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use pgdl_measure::MeasureError;

/// A homology class: the scales at which it appears and disappears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// Where it appears.
    pub birth: f64,
    /// Where it is filled or joined.
    pub death: f64,
}

impl Class {
    /// How long it persists.
    pub fn life(self) -> f64 {
        self.death - self.birth
    }
}

/// Symmetric dissimilarities of n points, row by row. The triangle inequality is not asked for.
#[derive(Clone, Debug)]
pub struct Dissimilarities {
    points: usize,
    values: Vec<f64>,
}

impl Dissimilarities {
    /// From n² values, of which those above the diagonal count.
    ///
    /// # Errors
    /// The number of values is not n²: failed.
    pub fn new(points: usize, values: Vec<f64>) -> Result<Self, MeasureError> {
        if points.checked_mul(points) != Some(values.len()) {
            return MeasureError::failed(format!(
                "{} values are no dissimilarities of {points} points",
                values.len()
            ));
        }
        Ok(Self { points, values })
    }

    /// Number n of points.
    pub fn points(&self) -> usize {
        self.points
    }

    fn between(&self, a: usize, b: usize) -> f64 {
        self.values[a * self.points + b]
    }

    /// The least scale at which one point is joined with all others.
    fn cone(&self) -> f64 {
        let farthest = |a: usize| {
            let others = (0..self.points).filter(|&b| b != a);
            others.map(|b| self.between(a.min(b), a.max(b))).fold(0.0, f64::max)
        };
        (0..self.points).map(farthest).fold(f64::INFINITY, f64::min)
    }

    /// The finite classes of dimension 0 or 1 that live at more than one scale, in no particular order. (In dimension 0
    /// one class more never dies.)
    pub fn diagram(&self, dimension: Dimension) -> Vec<Class> {
        let filtration = Filtration::new(self);
        let tree = filtration.spanning_tree();
        let classes: Vec<Class> = match dimension {
            Dimension::Zero => {
                let joined = filtration.edges.iter().zip(&tree).filter(|(_, in_tree)| **in_tree);
                joined.map(|(edge, _)| Class { birth: 0.0, death: edge.scale }).collect()
            }
            Dimension::One => filtration.holes(&tree),
        };
        classes.into_iter().filter(|class| class.life() > 0.0).collect()
    }
}

/// Of homology: components or holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Components.
    Zero,
    /// Holes that loops surround.
    One,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    scale: f64,
    ends: (usize, usize),
}

/// The edges up to the scale of the cone, in the order in which they enter.
#[derive(Debug)]
struct Filtration {
    points: usize,
    edges: Vec<Edge>,
    /// Position in `edges` of the edge between two points, or [`ABSENT`]: `[n, n]`.
    positions: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;

/// A triangle: its last edge times n, plus the point opposite. Numbers are in the order in which triangles enter.
type Triangle = u64;

impl Filtration {
    fn new(dissimilarities: &Dissimilarities) -> Self {
        let points = dissimilarities.points;
        let cone = dissimilarities.cone();
        let pairs = (0..points).flat_map(|a| (a + 1..points).map(move |b| (a, b)));
        let mut edges: Vec<Edge> = pairs
            .map(|ends| Edge { scale: dissimilarities.between(ends.0, ends.1), ends })
            .filter(|edge| edge.scale <= cone)
            .collect();
        edges.sort_by(|one, other| one.scale.total_cmp(&other.scale));
        let mut positions = vec![ABSENT; points * points];
        for (position, edge) in edges.iter().enumerate() {
            let (a, b) = edge.ends;
            positions[a * points + b] = position as u32;
            positions[b * points + a] = position as u32;
        }
        Self { points, edges, positions }
    }

    /// Whether each edge belongs to the minimum spanning tree that comes first.
    fn spanning_tree(&self) -> Vec<bool> {
        let mut parent: Vec<usize> = (0..self.points).collect();
        fn root(parent: &mut [usize], mut point: usize) -> usize {
            while parent[point] != point {
                parent[point] = parent[parent[point]];
                point = parent[point];
            }
            point
        }
        let mut joins = |edge: &Edge| {
            let (a, b) = (root(&mut parent, edge.ends.0), root(&mut parent, edge.ends.1));
            parent[a] = b;
            a != b
        };
        self.edges.iter().map(&mut joins).collect()
    }

    /// The triangles around an edge, in no particular order.
    fn coboundary(&self, edge: usize) -> impl Iterator<Item = Triangle> + '_ {
        let (a, b) = self.edges[edge].ends;
        let row = |point: usize| &self.positions[point * self.points..][..self.points];
        let sides = row(a).iter().zip(row(b)).enumerate();
        sides.filter(move |(_, (to_a, to_b))| **to_a != ABSENT && **to_b != ABSENT).map(
            move |(point, (&to_a, &to_b))| {
                let (last, opposite) = [(edge as u32, point), (to_a, b), (to_b, a)]
                    .into_iter()
                    .max()
                    .unwrap_or((edge as u32, point));
                u64::from(last) * self.points as u64 + opposite as u64
            },
        )
    }

    fn holes(&self, tree: &[bool]) -> Vec<Class> {
        let mut classes = Vec::new();
        // The edge whose reduced coboundary begins with the triangle.
        let mut owners: HashMap<Triangle, usize> = HashMap::new();
        // The edges whose coboundaries sum up to the reduced one of an edge, where that is not its own alone.
        let mut sums: HashMap<usize, Vec<usize>> = HashMap::new();
        for edge in (0..self.edges.len()).rev().filter(|&edge| !tree[edge]) {
            let last_edge = |triangle: Triangle| (triangle / self.points as u64) as usize;
            match self.coboundary(edge).min() {
                // The edge closes a triangle as it enters. No later edge can own that triangle.
                Some(first) if last_edge(first) == edge => {
                    owners.insert(first, edge);
                    continue;
                }
                _ => {}
            }
            let mut column: BinaryHeap<Reverse<Triangle>> = self.coboundary(edge).map(Reverse).collect();
            let mut summands = vec![edge];
            while let Some(first) = pop_odd(&mut column) {
                let Some(owner) = owners.get(&first) else {
                    owners.insert(first, edge);
                    classes.push(Class {
                        birth: self.edges[edge].scale,
                        death: self.edges[last_edge(first)].scale,
                    });
                    break;
                };
                column.push(Reverse(first));
                for &summand in sums.get(owner).map_or(std::slice::from_ref(owner), Vec::as_slice) {
                    summands.push(summand);
                    column.extend(self.coboundary(summand).map(Reverse));
                }
            }
            if summands.len() > 1 {
                sums.insert(edge, odd(summands));
            }
        }
        classes
    }
}

/// Takes the least entry that occurs an odd number of times, and all smaller ones with it: sums are modulo 2.
fn pop_odd(column: &mut BinaryHeap<Reverse<Triangle>>) -> Option<Triangle> {
    while let Some(Reverse(first)) = column.pop() {
        match column.peek() {
            Some(Reverse(second)) if *second == first => {
                column.pop();
            }
            _ => return Some(first),
        }
    }
    None
}

/// The entries that occur an odd number of times, once each.
fn odd(mut entries: Vec<usize>) -> Vec<usize> {
    entries.sort_unstable();
    let mut kept: Vec<usize> = Vec::with_capacity(entries.len());
    for entry in entries {
        if kept.last() == Some(&entry) {
            kept.pop();
        } else {
            kept.push(entry);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use pgdl_measure::Generator;
    use pgdl_measure::rand::Rng;
    use pgdl_measure::tch::{Device, Kind};

    use super::*;

    fn dissimilarities(points: usize, between: impl Fn(usize, usize) -> f64) -> Dissimilarities {
        let value = |at: usize| {
            let (a, b) = (at / points, at % points);
            if a == b { 0.0 } else { between(a.min(b), a.max(b)) }
        };
        Dissimilarities::new(points, (0..points * points).map(value).collect()).unwrap()
    }

    fn euclidean(points: &[[f64; 3]]) -> Dissimilarities {
        let square = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
        // Rounded, so that distances that are equal on paper are equal.
        dissimilarities(points.len(), |a, b| (square(&points[a], &points[b]).sqrt() * 1e12).round() / 1e12)
    }

    fn sorted(classes: Vec<Class>) -> Vec<(f64, f64)> {
        let mut pairs: Vec<(f64, f64)> =
            classes.into_iter().map(|class| (class.birth, class.death)).collect();
        pairs.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        pairs
    }

    #[track_caller]
    fn close(found: Vec<Class>, expected: &[(f64, f64)]) {
        let found = sorted(found);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (one, other) in found.iter().zip(expected) {
            assert!((one.0 - other.0).abs() + (one.1 - other.1).abs() < 1e-11, "{found:?}");
        }
    }

    /// The textbook algorithm: the boundary matrix of all points, edges and triangles, reduced column by column.
    fn by_boundary_matrix(dissimilarities: &Dissimilarities) -> [Vec<Class>; 2] {
        let points = dissimilarities.points();
        let mut simplices: Vec<(f64, Vec<usize>)> = (0..points).map(|point| (0.0, vec![point])).collect();
        for a in 0..points {
            for b in a + 1..points {
                let edge = dissimilarities.between(a, b);
                simplices.push((edge, vec![a, b]));
                for c in b + 1..points {
                    let scale = edge.max(dissimilarities.between(a, c)).max(dissimilarities.between(b, c));
                    simplices.push((scale, vec![a, b, c]));
                }
            }
        }
        simplices.sort_by(|one, other| {
            one.0.total_cmp(&other.0).then(one.1.len().cmp(&other.1.len())).then(one.1.cmp(&other.1))
        });
        let position = |face: &[usize]| simplices.iter().position(|(_, simplex)| simplex == face).unwrap();
        let mut reduced: Vec<Vec<usize>> = Vec::new();
        let mut owner: HashMap<usize, usize> = HashMap::new();
        let mut diagrams = [Vec::new(), Vec::new()];
        for (at, (scale, simplex)) in simplices.iter().enumerate() {
            let mut column: Vec<usize> = Vec::new();
            if simplex.len() > 1 {
                for left_out in 0..simplex.len() {
                    let mut face = simplex.clone();
                    face.remove(left_out);
                    column.push(position(&face));
                }
            }
            column.sort_unstable();
            while let Some(last) = column.last()
                && let Some(&other) = owner.get(last)
            {
                column = odd([column.clone(), reduced[other].clone()].concat());
            }
            if let Some(&last) = column.last() {
                owner.insert(last, at);
                let (birth, creator) = &simplices[last];
                if scale > birth {
                    diagrams[creator.len() - 1].push(Class { birth: *birth, death: *scale });
                }
            }
            reduced.push(column);
        }
        diagrams
    }

    #[test]
    fn diagrams_are_those_of_the_boundary_matrix() {
        let mut generator = Generator::new(&[b"complexes"], Device::Cpu, Kind::Double);
        let mut holes = 0;
        for trial in 0..100 {
            let points = 2 + trial % 9;
            // Every other time from a few values only: many ties.
            let levels = if trial % 2 == 0 { 4.0 } else { 1e15 };
            let values: Vec<f64> =
                (0..points * points).map(|_| (generator.random::<f64>() * levels).floor() / levels).collect();
            let random = dissimilarities(points, |a, b| values[a * points + b]);
            let [components, loops] = by_boundary_matrix(&random);
            assert_eq!(sorted(random.diagram(Dimension::Zero)), sorted(components), "trial {trial}");
            holes += loops.len();
            assert_eq!(sorted(random.diagram(Dimension::One)), sorted(loops), "trial {trial}");
        }
        assert!(holes > 30, "{holes} holes are too few to tell");
    }

    #[test]
    fn polygons_have_one_hole() {
        let root = |square: f64| square.sqrt();
        close(
            euclidean(&[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
                .diagram(Dimension::One),
            &[(1.0, root(2.0))],
        );
        // Evenly on the unit circle: a side closes the loop, and the chord over a third of it fills it.
        for points in [6usize, 12, 13, 30] {
            let angle = |point: usize| std::f64::consts::TAU * point as f64 / points as f64;
            let circle: Vec<[f64; 3]> =
                (0..points).map(|point| [angle(point).cos(), angle(point).sin(), 0.0]).collect();
            let chord = |steps: usize| 2.0 * (angle(steps) / 2.0).sin();
            close(euclidean(&circle).diagram(Dimension::One), &[(chord(1), chord(points.div_ceil(3)))]);
            let sides = vec![(0.0, chord(1)); points - 1];
            close(euclidean(&circle).diagram(Dimension::Zero), &sides);
        }
    }

    #[test]
    fn hollow_bodies_and_lines_have_no_hole() {
        let octahedron = [
            [1.0, 0.0, 0.0],
            [-1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, -1.0, 0.0],
            [0.0, 0.0, 1.0],
            [0.0, 0.0, -1.0],
        ];
        close(euclidean(&octahedron).diagram(Dimension::One), &[]);
        close(euclidean(&octahedron).diagram(Dimension::Zero), &[(0.0, 2f64.sqrt()); 5]);
        let line: Vec<[f64; 3]> = (0..9).map(|at| [f64::from(at * at), 0.0, 0.0]).collect();
        close(euclidean(&line).diagram(Dimension::One), &[]);
        let gaps: Vec<(f64, f64)> = (0..8).map(|at| (0.0, f64::from(2 * at + 1))).collect();
        close(euclidean(&line).diagram(Dimension::Zero), &gaps);
    }

    #[test]
    fn distant_loops_count_apart_and_copies_count_once() {
        let mut squares = Vec::new();
        for (side, at) in [(1.0, 0.0), (2.0, 50.0)] {
            squares.extend([[at, 0.0, 0.0], [at + side, 0.0, 0.0], [at + side, side, 0.0], [at, side, 0.0]]);
        }
        let expected = [(1.0, 2f64.sqrt()), (2.0, 8f64.sqrt())];
        close(euclidean(&squares).diagram(Dimension::One), &expected);
        squares.extend(squares.clone());
        close(euclidean(&squares).diagram(Dimension::One), &expected);
        assert_eq!(euclidean(&squares).diagram(Dimension::Zero).len(), 7);
    }

    #[test]
    fn few_points_have_no_classes() {
        for points in [0usize, 1] {
            let few = dissimilarities(points, |_, _| 1.0);
            assert!(few.diagram(Dimension::Zero).is_empty() && few.diagram(Dimension::One).is_empty());
        }
        assert!(dissimilarities(3, |_, _| 0.0).diagram(Dimension::Zero).is_empty());
        assert!(Dissimilarities::new(2, vec![0.0; 3]).is_err());
    }

    const TREE: [f64; 11] = [
        0.00888145245887885,
        0.01776220433321534,
        0.02664155509373045,
        0.07945839607244107,
        0.08830863309607147,
        0.1411796931706552,
        0.14996662063412206,
        0.2020317919023325,
        0.21072213129903983,
        0.21939584856455807,
        0.2366906812750767,
    ];

    const HOLES: [(f64, f64); 9] = [
        (0.24531043247334874, 0.7849056827820657),
        (0.2539108331545893, 0.7510469581613124),
        (0.262491204904113, 0.7023219565124583),
        (0.31314289889206726, 0.7148553508409695),
        (0.3215653171302501, 0.6637015306307652),
        (0.4200576161867637, 0.7086166021367329),
        (0.428100944093906, 0.6298411677363565),
        (0.45202578717835057, 0.5734312647770955),
        (0.47562973785858026, 0.6570320493166915),
    ];

    /// SciPy 1.17.1, scipy.sparse.csgraph.minimum_spanning_tree, and GUDHI 3.13.0, RipsComplex (persistence over the
    /// field of two elements), of |sin(37 a + 101 b) | for a < b of twelve points.
    #[test]
    fn diagrams_are_those_of_scipy_and_gudhi() {
        let wave = dissimilarities(12, |a, b| (37.0 * a as f64 + 101.0 * b as f64).sin().abs());
        let tree = TREE.map(|death| (0.0, death));
        close(wave.diagram(Dimension::Zero), &tree);
        close(wave.diagram(Dimension::One), &HOLES);
    }
}
