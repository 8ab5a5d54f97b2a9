//! Sets of ports.

use std::ops::RangeInclusive;

/// A set of ports that is not empty: ranges, sorted and apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

/// Every port that can be connected to. 0 is none; to bind to it is to ask for any other.
const ALL: RangeInclusive<u16> = 1..=u16::MAX;

impl Ports {
    /// Every port but 0, which is none.
    pub fn all() -> Self {
        Self(vec![ALL])
    }

    /// This one.
    pub fn one(port: u16) -> Self {
        Self(vec![port..=port])
    }

    /// Those in `ranges`, in whatever order; None if there are none.
    pub fn from_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Option<Self> {
        let mut sorted: Vec<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u16>> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match merged.last_mut() {
                Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        (!merged.is_empty()).then_some(Self(merged))
    }

    /// True if `port` is one of them.
    pub fn contains(&self, port: u16) -> bool {
        let next = self.0.partition_point(|range| *range.end() < port);
        self.0.get(next).is_some_and(|range| range.contains(&port))
    }

    /// True if no port is missing.
    pub fn is_all(&self) -> bool {
        self.0
            .first()
            .is_some_and(|range| *range.start() <= 1 && *range.end() == u16::MAX)
    }

    /// The ranges, sorted; ports lie between any two.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }

    /// How many they are; never 0.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> u32 {
        let lengths = self.0.iter().map(|range| u32::from(range.end() - range.start()) + 1);
        lengths.sum()
    }

    /// Those that are not among `others`; None if all are.
    pub fn minus(&self, others: &Self) -> Option<Self> {
        let mut left = Vec::new();
        // Both are sorted: what lies before a range of these lies before the following ones too.
        let mut taken = others.0.iter().peekable();
        for range in &self.0 {
            let (mut start, end) = (u32::from(*range.start()), u32::from(*range.end()));
            while let Some(other) = taken.peek() {
                let (first, last) = (u32::from(*other.start()), u32::from(*other.end()));
                if first > end {
                    break;
                }
                if first > start {
                    left.push((start, first - 1));
                }
                start = start.max(last + 1);
                if last > end {
                    break;
                }
                taken.next();
            }
            left.push((start, end));
        }
        let ports = |(start, end): (u32, u32)| Some(u16::try_from(start).ok()?..=u16::try_from(end).ok()?);
        Self::from_ranges(left.into_iter().filter_map(ports))
    }

    /// These and `others`.
    #[must_use]
    pub fn plus(&self, others: &Self) -> Self {
        // Neither is empty, so there are some.
        Self::from_ranges(self.0.iter().chain(&others.0).cloned()).unwrap_or_else(Self::all)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_sorted_and_merged_and_never_empty() {
        let of = |ranges: &[(u16, u16)]| Ports::from_ranges(ranges.iter().map(|&(first, last)| first..=last));
        let ranges = of(&[(80, 90), (443, 443), (1, 1), (91, 95), (85, 87)]).unwrap();
        assert_eq!(ranges.ranges(), [1..=1, 80..=95, 443..=443]);
        assert_eq!(ranges.len(), 18);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(2, 1)]), None);
        assert_eq!(of(&[(32768, 65535), (1, 32767)]), Some(Ports::all()));
        assert_eq!(Ports::one(7).ranges(), [7..=7]);
        assert!(Ports::all().is_all() && !Ports::all().contains(0) && Ports::all().len() == 65535);
        assert!(of(&[(0, 65535)]).unwrap().is_all() && !of(&[(2, 65535)]).unwrap().is_all());
        assert!(!of(&[(1, 65534)]).unwrap().is_all());
    }

    #[test]
    fn all_minus_one_are_the_rest() {
        let rest = Ports::all().minus(&Ports::one(u16::MAX)).unwrap();
        assert_eq!(rest.ranges(), [1..=65534]);
        let rest = Ports::all().minus(&Ports::one(1)).unwrap();
        assert_eq!(rest.ranges(), [2..=65535]);
        assert_eq!(Ports::all().minus(&Ports::all()), None);
        assert!(rest.plus(&Ports::one(1)).is_all());
    }

    /// Ranges of few ports, so that they meet, at both ends.
    fn ranges() -> impl Strategy<Value = Vec<RangeInclusive<u16>>> {
        let port = prop_oneof![0..40_u16, u16::MAX - 40..=u16::MAX];
        vec(
            (port, 0..6_u16).prop_map(|(first, more)| first..=first.saturating_add(more)),
            1..8,
        )
    }

    fn set(ports: &Ports) -> BTreeSet<u16> {
        ports.ranges().iter().cloned().flatten().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn they_are_what_sets_of_numbers_are(one in ranges(), other in ranges()) {
            let (a, b): (BTreeSet<u16>, BTreeSet<u16>) =
                (one.iter().cloned().flatten().collect(), other.iter().cloned().flatten().collect());
            let (one, other) = (Ports::from_ranges(one).unwrap(), Ports::from_ranges(other).unwrap());
            prop_assert_eq!(set(&one), a.clone());
            prop_assert_eq!(usize::try_from(one.len()).unwrap(), a.len());
            for pair in one.ranges().windows(2) {
                prop_assert!(u32::from(*pair[0].end()) + 1 < u32::from(*pair[1].start()));
            }
            for port in (0..60).chain(u16::MAX - 60..=u16::MAX) {
                prop_assert_eq!(one.contains(port), a.contains(&port));
            }
            prop_assert_eq!(set(&one.plus(&other)), &a | &b);
            let left = &a - &b;
            prop_assert_eq!(one.minus(&other).map(|ports| set(&ports)), (!left.is_empty()).then_some(left));
        }
    }
}
