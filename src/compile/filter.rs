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
            Compare::AtLeast => argument >= self.value,
            Compare::AtMost => argument <= self.value,
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
    pub fn compile(&self) -> Result<Vec<Instruction>, AssemblyError> {
        let mut code = Emitter::default();
        let (native, foreign) = (code.asm.label(), code.exit(Action::Kill));
        code.asm.load(ARCH_OFFSET);
        code.asm.branch(Condition::Equal, self.arch.audit(), native, foreign);
        code.asm.place(native);
        code.asm.load(NUMBER_OFFSET);
        let ranges = self.ranges(&mut code);
        let root = code.search(&ranges);
        code.asm.goto(root);
        code.emit_pending();
        code.emit_exits();
        code.asm.finish()
    }

    /// Cuts the number space into ranges that are treated alike: (first number, where to go).
    fn ranges(&self, code: &mut Emitter) -> Vec<(u32, Label)> {
        let mut ranges: Vec<(u32, Label)> = Vec::new();
        let mut add = |first, label| {
            if ranges.last().is_some_and(|&(start, _)| start == first) {
                ranges.pop();
            }
            if ranges.last().is_none_or(|&(_, last)| last != label) {
                ranges.push((first, label));
            }
        };
        let otherwise = code.exit(self.otherwise);
        add(0, otherwise);
        for (&number, rule) in self.rules.range(..self.first_unknown) {
            let label = code.rule(rule);
            add(number, label);
            add(number + 1, otherwise);
        }
        add(self.first_unknown, code.exit(UNKNOWN));
        ranges
    }
}

const NUMBER_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;

fn argument_offsets(index: u8) -> (u32, u32) {
    let low = 16 + 8 * u32::from(index);
    (low, low + 4)
}

/// Code still to be emitted behind what is there: targets must lie ahead of every jump to them.
enum Pending {
    Search(Label, Vec<(u32, Label)>),
    Rule(Label, Rule),
}

#[derive(Default)]
struct Emitter {
    asm: Assembler,
    exits: BTreeMap<Action, Label>,
    pending: std::collections::VecDeque<Pending>,
}

impl Emitter {
    /// The label of the return for `action`.
    fn exit(&mut self, action: Action) -> Label {
        *self.exits.entry(action).or_insert_with(|| self.asm.label())
    }

    /// Where a call under `rule` goes.
    fn rule(&mut self, rule: &Rule) -> Label {
        if rule.clauses.is_empty() {
            return self.exit(rule.otherwise);
        }
        let label = self.asm.label();
        self.pending.push_back(Pending::Rule(label, rule.clone()));
        label
    }

    /// Where the search among `ranges` starts.
    fn search(&mut self, ranges: &[(u32, Label)]) -> Label {
        if let [(_, only)] = ranges {
            return *only;
        }
        let label = self.asm.label();
        // In front of the rules, so that the search stays together.
        self.pending.push_front(Pending::Search(label, ranges.to_vec()));
        label
    }

    fn emit_pending(&mut self) {
        while let Some(pending) = self.pending.pop_front() {
            match pending {
                Pending::Search(label, ranges) => {
                    self.asm.place(label);
                    let (lower, upper) = ranges.split_at(ranges.len() / 2);
                    let pivot = upper[0].0;
                    let (no, yes) = (self.search(lower), self.search(upper));
                    self.asm.branch(Condition::AtLeast, pivot, yes, no);
                }
                Pending::Rule(label, rule) => {
                    self.asm.place(label);
                    self.emit_rule(&rule);
                }
            }
        }
    }

    fn emit_rule(&mut self, rule: &Rule) {
        for clause in &rule.clauses {
            let next = self.asm.label();
            for test in &clause.tests {
                let holds = self.asm.label();
                self.emit_test(test, holds, next);
                self.asm.place(holds);
            }
            let exit = self.exit(clause.action);
            self.asm.goto(exit);
            self.asm.place(next);
        }
        let exit = self.exit(rule.otherwise);
        self.asm.goto(exit);
    }

    fn emit_test(&mut self, test: &ArgumentTest, yes: Label, no: Label) {
        let (low, high) = argument_offsets(test.index);
        let [mask_low, mask_high] = halves(test.mask);
        let [value_low, value_high] = halves(test.value);
        match test.width {
            // The value can exceed what 32 bits hold only by mistake; then nothing equals or exceeds it.
            Width::Word if value_high != 0 => {
                let target = if test.compare == Compare::AtMost { yes } else { no };
                self.asm.goto(target);
            }
            Width::Word => self.emit_compare(low, mask_low, test.compare, value_low, yes, no),
            Width::Long => {
                let decide_low = self.asm.label();
                match test.compare {
                    Compare::Equal => self.emit_compare(high, mask_high, Compare::Equal, value_high, decide_low, no),
                    Compare::AtLeast => self.emit_three_way(high, mask_high, value_high, (no, decide_low, yes)),
                    Compare::AtMost => self.emit_three_way(high, mask_high, value_high, (yes, decide_low, no)),
                }
                self.asm.place(decide_low);
                self.emit_compare(low, mask_low, test.compare, value_low, yes, no);
            }
        }
    }

    fn emit_masked_load(&mut self, offset: u32, mask: u32) {
        self.asm.load(offset);
        if mask != u32::MAX {
            self.asm.and(mask);
        }
    }

    fn emit_compare(&mut self, offset: u32, mask: u32, compare: Compare, value: u32, yes: Label, no: Label) {
        self.emit_masked_load(offset, mask);
        match compare {
            Compare::Equal => self.asm.branch(Condition::Equal, value, yes, no),
            Compare::AtLeast => self.asm.branch(Condition::AtLeast, value, yes, no),
            Compare::AtMost => self.asm.branch(Condition::Above, value, no, yes),
        }
    }

    /// Goes to the first, second or third target as the word is below, equal to or above `value`.
    fn emit_three_way(&mut self, offset: u32, mask: u32, value: u32, (below, equal, above): (Label, Label, Label)) {
        self.emit_masked_load(offset, mask);
        let not_above = self.asm.label();
        self.asm.branch(Condition::Above, value, above, not_above);
        self.asm.place(not_above);
        self.asm.branch(Condition::Equal, value, equal, below);
    }

    fn emit_exits(&mut self) {
        for (action, label) in std::mem::take(&mut self.exits) {
            self.asm.place(label);
            self.asm.ret(action.code());
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
#[path = "filter_tests.rs"]
pub(super) mod tests;
