//! The order in which TensorFlow's input pipelines shuffle.

use pgdl_measure::Generator;
use pgdl_measure::rand::Rng;

/// A stream of samples that repeats without end, shuffled through a buffer as `tf.data` does: the buffer is filled from
/// the stream, each step takes a random place of it, and the next of the stream moves in there.
#[derive(Debug)]
pub(crate) struct ShuffleBuffer {
    samples: Vec<i64>,
    /// Position in `samples` of the next of the stream.
    next: usize,
    buffer: Vec<i64>,
}

impl ShuffleBuffer {
    /// Of `samples`, over and over again. `None` where there are no samples or no place in the buffer.
    pub fn new(samples: Vec<i64>, capacity: usize) -> Option<Self> {
        if samples.is_empty() || capacity == 0 {
            return None;
        }
        let buffer: Vec<i64> = samples.iter().copied().cycle().take(capacity).collect();
        let next = capacity % samples.len();
        Some(Self { samples, next, buffer })
    }

    /// The next sample.
    pub fn draw(&mut self, generator: &mut Generator) -> i64 {
        let place = generator.random_range(0..self.buffer.len());
        let fresh = self.samples[self.next];
        self.next = (self.next + 1) % self.samples.len();
        std::mem::replace(&mut self.buffer[place], fresh)
    }
}

#[cfg(test)]
mod tests {
    use pgdl_measure::tch::{Device, Kind};

    use super::*;

    #[test]
    fn it_lets_out_what_has_come_in_and_nothing_is_lost() {
        let mut generator = Generator::new(&[b"buffer"], Device::Cpu, Kind::Float);
        assert!(ShuffleBuffer::new(Vec::new(), 5).is_none());
        let mut ordered = ShuffleBuffer::new(vec![4, 7, 9], 1).unwrap();
        let first: Vec<i64> = (0..7).map(|_| ordered.draw(&mut generator)).collect();
        assert_eq!(first, [4, 7, 9, 4, 7, 9, 4]);
        // After t steps, t + capacity have come in, each sample in its turn: what is not out yet lies in the buffer.
        let (count, capacity, steps) = (20usize, 8usize, 505usize);
        let mut buffer = ShuffleBuffer::new((0..count as i64).collect(), capacity).unwrap();
        let mut seen = vec![0usize; count];
        for _ in 0..steps {
            seen[buffer.draw(&mut generator) as usize] += 1;
        }
        for (sample, times) in seen.iter().enumerate() {
            let inside = buffer.buffer.iter().filter(|&&held| held == sample as i64).count();
            assert_eq!(times + inside, (steps + capacity - sample).div_ceil(count), "{sample}");
        }
    }
}
