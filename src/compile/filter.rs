//! Filter rules and the program they compile to.
//!
//! A [`FilterSpec`] is read directly by [`FilterSpec::decide`] and compiled by [`FilterSpec::compile`]; tests hold that
//! both say the same of every call.

use std::collections::BTreeMap;

use crate::sys::seccomp::{Instruction, RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS, RET_USER_NOTIF};

use super::arch::Arch;
use super::bpf::{Assembler, AssemblyError, Condition, Label};

/// `struct seccomp_data`: what a program sees of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallData {
    /// System call number.
    pub number: u32,
    /// AUDIT_ARCH_*.
    pub arch: u32,
    /// Instruction pointer.
    pub instruction_pointer: u64,
    /// Arguments.
    pub arguments: [u64; 6],
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It runs.
    Allow,
    /// It fails with this errno.
    Errno(u16),
    /// The process is killed.
    Kill,
    /// A listener is asked.
    Notify,
}

impl Action {
    /// Failure with an errno of libc's.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
    pub const fn fail(errno: i32) -> Self {
        assert!(errno > 0 && errno < 4096);
        Self::Errno(errno as u16)
    }

    /// What a program returns for it.
    pub fn code(self) -> u32 {
        match self {
            Self::Allow => RET_ALLOW,
            Self::Errno(errno) => RET_ERRNO | u32::from(errno),
            Self::Kill => RET_KILL_PROCESS,
            Self::Notify => RET_USER_NOTIF,
        }
    }
}

/// How an argument is compared, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// It equals the value.
    Equal,
    /// It differs from the value.
    NotEqual,
    /// It is at least the value.
    AtLeast,
    /// It is at most the value.
    AtMost,
}

/// How much of an argument the kernel reads. Comparing more than that is a hole: an ioctl request is an `unsigned int`,
/// so a request with a bit set above the low 32 would differ from a forbidden one here and be the same to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// An `int` or `unsigned int`: the low 32 bits.
    Word,
    /// A `long` or a pointer: all 64 bits.
    Long,
}

/// A test of one register argument: `(argument & mask) compare value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentTest {
    /// Which argument, 0 to 5.
    pub index: u8,
    /// How much of it.
    pub width: Width,
    /// Which bits.
    pub mask: u64,
    /// How.
    pub compare: Compare,
    /// Against what.
    pub value: u64,
}

impl ArgumentTest {
    fn holds(&self, call: &CallData) -> bool {
        let width_mask = match self.width {
            Width::Word => u64::from(u32::MAX),
            Width::Long => u64::MAX,
        };
        let argument = call.arguments[usize::from(self.index)] & self.mask & width_mask;
        match self.compare {
            Compare::Equal => argument == self.value,
            Compare::NotEqual => argument != self.value,
            Compare::AtLeast => argument >= self.value,
            Compare::AtMost => argument <= self.value,
        }
    }
}

/// How the program reads it.
impl ArgumentTest {
    /// Whether it asks if any bit under the mask is set (true) or none is (false); None if it asks something else.
    fn any_bit(&self) -> Option<bool> {
        match (self.width, self.compare, self.value) {
            // A plain comparison is as short.
            _ if halves(self.mask)[0] == u32::MAX => None,
            (Width::Word, Compare::NotEqual, 0) | (Width::Word, Compare::AtLeast, 1) => Some(true),
            (Width::Word, Compare::Equal | Compare::AtMost, 0) => Some(false),
            _ => None,
        }
    }

    /// The low word as the test wants it in the accumulator. A test for any bit has its mask in the branch.
    fn word(&self) -> Word {
        let [mask, _] = halves(self.mask);
        Word {
            offset: argument_offsets(self.index).0,
            mask: if self.any_bit().is_some() { u32::MAX } else { mask },
        }
    }
}

/// An action for calls that pass all tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// The tests, all of which must hold.
    pub tests: Vec<ArgumentTest>,
    /// What happens then.
    pub action: Action,
}

/// What happens to one system call: the first clause that holds decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In this order.
    pub clauses: Vec<Clause>,
    /// If none holds.
    pub otherwise: Action,
}

impl Rule {
    /// A rule that does not look at arguments.
    pub fn always(action: Action) -> Self {
        Self {
            clauses: Vec::new(),
            otherwise: action,
        }
    }
}

/// A whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSpec {
    /// The architecture it is for; calls of any other kill the process.
    pub arch: Arch,
    /// Rules by number.
    pub rules: BTreeMap<u32, Rule>,
    /// For numbers without a rule.
    pub otherwise: Action,
    /// Numbers from here on, and those of a second ABI (x32), answer ENOSYS: the library does not know what they do.
    pub first_unknown: u32,
}

const UNKNOWN: Action = Action::fail(libc::ENOSYS);

impl FilterSpec {
    /// What happens to `call`.
    pub fn decide(&self, call: &CallData) -> Action {
        if call.arch != self.arch.audit() {
            return Action::Kill;
        }
        if call.number >= self.first_unknown {
            return UNKNOWN;
        }
        let Some(rule) = self.rules.get(&call.number) else {
            return self.otherwise;
        };
        rule.clauses
            .iter()
            .find(|clause| clause.tests.iter().all(|test| test.holds(call)))
            .map_or(rule.otherwise, |clause| clause.action)
    }

    /// The program that decides likewise.
    ///
    /// It reads the number and the architecture first and the arguments only for calls whose rule tests them, so that
    /// the kernel (5.11) can tell which calls are always allowed and never run the program for those. All other calls
    /// are found by binary search.
    ///
    /// Every start of a program pays for each instruction (the kernel compiles it, half a microsecond each) and for each
    /// step to a decision (it interprets the program once for every number), so the code is kept short and flat: it is
    /// by far the dearest part of confinement.
    pub fn compile(&self) -> Result<Vec<Instruction>, AssemblyError> {
        let mut code = Emitter::default();
        let (native, foreign) = (code.asm.label(), code.exit(Action::Kill));
        code.asm.load(ARCH_OFFSET);
        code.asm.branch(Condition::Equal, self.arch.audit(), native, foreign);
        code.asm.place(native);
        code.asm.load(NUMBER_OFFSET);
        let ranges = self.ranges(&mut code);
        code.emit_search(&leaves(&ranges));
        // Within reach of the search; the rules get their own at the end.
        code.emit_exits();
        code.emit_rules();
        code.emit_exits();
        code.asm.finish()
    }

    /// Cuts the number space into ranges that are treated alike.
    fn ranges(&self, code: &mut Emitter) -> Vec<Range> {
        let otherwise = code.exit(self.otherwise);
        let mut ranges = vec![Range {
            first: 0,
            target: otherwise,
        }];
        let mut add = |first, target| {
            if ranges.last().is_some_and(|last: &Range| last.first == first) {
                ranges.pop();
            }
            if ranges.last().is_none_or(|last| last.target != target) {
                ranges.push(Range { first, target });
            }
        };
        for (&number, rule) in self.rules.range(..self.first_unknown) {
            add(number, code.rule(rule));
            add(number + 1, otherwise);
        }
        add(self.first_unknown, code.exit(UNKNOWN));
        ranges
    }
}

/// Numbers that are treated alike: from `first` up to the next range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    target: Label,
}

const NUMBER_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;

fn argument_offsets(index: u8) -> (u32, u32) {
    let low = 16 + 8 * u32::from(index);
    (low, low + 4)
}

#[derive(Default)]
struct Emitter {
    asm: Assembler,
    exits: BTreeMap<Action, Label>,
    /// Rules still to be emitted; equal ones share their code.
    rules: Vec<(Label, Rule)>,
}

/// Most numbers that are told apart one by one at a leaf of the search, instead of searching on: fewer instructions for
/// about as many steps.
const LEAF: usize = 3;

impl Emitter {
    /// The label of the return for `action`.
    fn exit(&mut self, action: Action) -> Label {
        *self.exits.entry(action).or_insert_with(|| self.asm.label())
    }

    fn emit_exits(&mut self) {
        for (action, label) in std::mem::take(&mut self.exits) {
            self.asm.place(label);
            self.asm.ret(action.code());
        }
    }

    /// Where a call under `rule` goes.
    fn rule(&mut self, rule: &Rule) -> Label {
        if rule.clauses.is_empty() {
            return self.exit(rule.otherwise);
        }
        if let Some((label, _)) = self.rules.iter().find(|(_, known)| known == rule) {
            return *label;
        }
        let label = self.asm.label();
        self.rules.push((label, rule.clone()));
        label
    }

    /// Goes where the number in the accumulator is to go, which is in one of `leaves`.
    fn emit_search(&mut self, leaves: &[Leaf]) {
        if let [leaf] = leaves {
            return self.emit_leaf(leaf);
        }
        let (lower, upper) = leaves.split_at(leaves.len() / 2);
        let sides = [lower, upper].map(|side| match side {
            [Leaf { singles, target, .. }] if singles.is_empty() => (*target, None),
            _ => (self.asm.label(), Some(side)),
        });
        let [(no, _), (yes, _)] = sides;
        self.asm.branch(Condition::AtLeast, upper[0].first, yes, no);
        for (label, side) in sides {
            if let Some(side) = side {
                self.asm.place(label);
                self.emit_search(side);
            }
        }
    }

    fn emit_leaf(&mut self, leaf: &Leaf) {
        let Some((last, others)) = leaf.singles.split_last() else {
            return self.asm.goto(leaf.target);
        };
        for single in others {
            let next = self.asm.label();
            self.asm.branch(Condition::Equal, single.first, single.target, next);
            self.asm.place(next);
        }
        self.asm.branch(Condition::Equal, last.first, last.target, leaf.target);
    }

    fn emit_rules(&mut self) {
        for (label, rule) in std::mem::take(&mut self.rules) {
            self.asm.place(label);
            self.emit_rule(&rule);
        }
    }

    fn emit_rule(&mut self, rule: &Rule) {
        let otherwise = self.exit(rule.otherwise);
        let mut loaded = None;
        for (index, clause) in rule.clauses.iter().enumerate() {
            let action = self.exit(clause.action);
            let last = index + 1 == rule.clauses.len();
            let next = if last { otherwise } else { self.asm.label() };
            for (position, test) in clause.tests.iter().enumerate() {
                let done = position + 1 == clause.tests.len();
                let holds = if done { action } else { self.asm.label() };
                self.emit_test(test, &mut loaded, holds, next);
                if !done {
                    self.asm.place(holds);
                }
            }
            if clause.tests.is_empty() {
                self.asm.goto(action);
            }
            if !last {
                self.asm.place(next);
            }
            // A clause is left from any of its tests.
            if !alike(&clause.tests) {
                loaded = None;
            }
        }
        if rule.clauses.is_empty() {
            self.asm.goto(otherwise);
        }
    }

    /// Goes to `yes` or `no`. `loaded` is the word in the accumulator, before and after.
    fn emit_test(&mut self, test: &ArgumentTest, loaded: &mut Option<Word>, yes: Label, no: Label) {
        let (low, high) = argument_offsets(test.index);
        let [mask_low, mask_high] = halves(test.mask);
        let [value_low, value_high] = halves(test.value);
        let (low, high) = (
            Word {
                offset: low,
                mask: mask_low,
            },
            Word {
                offset: high,
                mask: mask_high,
            },
        );
        match test.width {
            // The value can exceed what 32 bits hold only by mistake; then nothing equals or exceeds it.
            Width::Word if value_high != 0 => {
                let holds = matches!(test.compare, Compare::AtMost | Compare::NotEqual);
                self.asm.goto(if holds { yes } else { no });
            }
            Width::Word => {
                let (bits, word) = (low.mask, test.word());
                self.load(word, loaded);
                match test.any_bit() {
                    Some(true) => self.asm.branch(Condition::AnyBit, bits, yes, no),
                    Some(false) => self.asm.branch(Condition::AnyBit, bits, no, yes),
                    None => self.emit_compare(test.compare, value_low, yes, no),
                }
            }
            Width::Long => {
                let decide_low = self.asm.label();
                self.load(high, loaded);
                match test.compare {
                    Compare::Equal => self.asm.branch(Condition::Equal, value_high, decide_low, no),
                    Compare::NotEqual => self.asm.branch(Condition::Equal, value_high, decide_low, yes),
                    Compare::AtLeast => self.emit_three_way(value_high, no, decide_low, yes),
                    Compare::AtMost => self.emit_three_way(value_high, yes, decide_low, no),
                }
                self.asm.place(decide_low);
                self.load(low, loaded);
                self.emit_compare(test.compare, value_low, yes, no);
                // It may have been decided by the high word.
                *loaded = None;
            }
        }
    }

    fn load(&mut self, word: Word, loaded: &mut Option<Word>) {
        if *loaded != Some(word) {
            self.asm.load(word.offset);
            if word.mask != u32::MAX {
                self.asm.and(word.mask);
            }
            *loaded = Some(word);
        }
    }

    fn emit_compare(&mut self, compare: Compare, value: u32, yes: Label, no: Label) {
        match compare {
            Compare::Equal => self.asm.branch(Condition::Equal, value, yes, no),
            Compare::NotEqual => self.asm.branch(Condition::Equal, value, no, yes),
            Compare::AtLeast => self.asm.branch(Condition::AtLeast, value, yes, no),
            Compare::AtMost => self.asm.branch(Condition::Above, value, no, yes),
        }
    }

    /// Goes to one of three targets as the accumulator is below, equal to or above `value`.
    fn emit_three_way(&mut self, value: u32, below: Label, equal: Label, above: Label) {
        let not_above = self.asm.label();
        self.asm.branch(Condition::Above, value, above, not_above);
        self.asm.place(not_above);
        self.asm.branch(Condition::Equal, value, equal, below);
    }
}

/// True if tests leave the accumulator with the same word, whichever is the last.
fn alike(tests: &[ArgumentTest]) -> bool {
    // One that is decided beforehand loads nothing.
    if tests.iter().any(|test| halves(test.value)[1] != 0) {
        return false;
    }
    let words = || tests.iter().map(|test| (test.width, test.word()));
    tests.iter().all(|test| test.width == Width::Word) && words().zip(words().skip(1)).all(|(a, b)| a == b)
}

/// A 32-bit word of an argument, of which some bits are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word {
    offset: u32,
    mask: u32,
}

/// A leaf of the search: numbers from `first` up to the next leaf go to `target`, but for a few single ones.
struct Leaf {
    first: u32,
    singles: Vec<Range>,
    target: Label,
}

/// Gathers neighbouring ranges into leaves, each as large as it can be.
fn leaves(ranges: &[Range]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut start = 0;
    while start < ranges.len() {
        let mut found = Leaf {
            first: ranges[start].first,
            singles: Vec::new(),
            target: ranges[start].target,
        };
        let mut end = start + 1;
        while let Some(larger) = leaf(ranges, start, end + 1) {
            found = larger;
            end += 1;
        }
        leaves.push(found);
        start = end;
    }
    leaves
}

/// The ranges from `start` to before `end` as one leaf, if all but a few of them are single numbers or go to one target.
fn leaf(ranges: &[Range], start: usize, end: usize) -> Option<Leaf> {
    let is_single = |index: usize| {
        ranges
            .get(index + 1)
            .is_some_and(|next| next.first == ranges[index].first + 1)
    };
    let members = ranges.get(start..end)?;
    members.iter().map(|range| range.target).find_map(|target| {
        let others = || (start..end).filter(|&index| ranges[index].target != target);
        (others().count() <= LEAF && others().all(is_single)).then(|| Leaf {
            first: ranges[start].first,
            singles: others().map(|index| ranges[index]).collect(),
            target,
        })
    })
}

#[allow(clippy::cast_possible_truncation)]
fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
#[path = "filter_tests.rs"]
pub(super) mod tests;
