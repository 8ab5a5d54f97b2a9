//! An assembler for seccomp programs.
//!
//! Classic BPF jumps forward only, and its conditional jumps reach 255 instructions. Code is written against labels;
//! [`Assembler::finish`] places it and gives every conditional jump that cannot reach its target an unconditional one
//! (whose offset has 32 bits) to stand on. Offsets are never cut short: what does not fit is an error.

use crate::sys::seccomp::{Instruction, MAX_INSTRUCTIONS};

/// A place in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A test of the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Equal,
    AtLeast,
    Above,
    /// Some bit of the value is set.
    AnyBit,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Load(u32),
    And(u32),
    Branch {
        condition: Condition,
        value: u32,
        yes: Label,
        no: Label,
    },
    Goto(Label),
    Return(u32),
}

/// Why a program cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssemblyError {
    /// It has this many instructions, more than the kernel takes.
    TooLong(usize),
    /// A bug: a jump backwards, or to a label that was never placed.
    BadJump,
}

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    ops: Vec<Op>,
    /// For each label, the index of the operation it stands before.
    labels: Vec<Option<usize>>,
}

const LD_W_ABS: u16 = 0x20;
const ALU_AND_K: u16 = 0x54;
const JMP_JA: u16 = 0x05;
const JMP_JEQ_K: u16 = 0x15;
const JMP_JGT_K: u16 = 0x25;
const JMP_JSET_K: u16 = 0x45;
const JMP_JGE_K: u16 = 0x35;
const RET_K: u16 = 0x06;

impl Assembler {
    /// Makes a label, to be placed later.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places `label` before whatever is emitted next.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.ops.len());
    }

    /// Loads the 32-bit word at `offset` of the call's description.
    pub(super) fn load(&mut self, offset: u32) {
        self.ops.push(Op::Load(offset));
    }

    /// Clears the accumulator's bits outside `mask`.
    pub(super) fn and(&mut self, mask: u32) {
        self.ops.push(Op::And(mask));
    }

    /// Goes to `yes` or `no`, as the accumulator compares to `value`.
    pub(super) fn branch(&mut self, condition: Condition, value: u32, yes: Label, no: Label) {
        self.ops.push(Op::Branch {
            condition,
            value,
            yes,
            no,
        });
    }

    /// Goes to `target`.
    pub(super) fn goto(&mut self, target: Label) {
        self.ops.push(Op::Goto(target));
    }

    /// Ends the program with `value`.
    pub(super) fn ret(&mut self, value: u32) {
        self.ops.push(Op::Return(value));
    }

    /// Places everything and encodes it.
    pub(super) fn finish(self) -> Result<Vec<Instruction>, AssemblyError> {
        let (starts, forms) = self.layout()?;
        let length = starts[self.ops.len()];
        if length > MAX_INSTRUCTIONS {
            return Err(AssemblyError::TooLong(length));
        }
        let mut program = Vec::with_capacity(length);
        for (index, &op) in self.ops.iter().enumerate() {
            self.encode(op, forms[index], &starts, &mut program)?;
        }
        Ok(program)
    }

    /// Finds, for every operation, its first instruction and whether its two jumps need a stepping stone.
    ///
    /// Starts with none and adds what is missing until all jumps reach. Stepping stones only ever get more, so this ends.
    fn layout(&self) -> Result<(Vec<usize>, Vec<Form>), AssemblyError> {
        let mut forms = vec![Form::default(); self.ops.len()];
        loop {
            let mut starts = Vec::with_capacity(self.ops.len() + 1);
            let mut next = 0;
            for form in &forms {
                starts.push(next);
                next += form.length();
            }
            starts.push(next);
            let mut changed = false;
            for (index, op) in self.ops.iter().enumerate() {
                let Op::Branch { yes, no, .. } = *op else { continue };
                let after = starts[index] + 1;
                let far = |label| Ok(self.distance(label, after, &starts)? > usize::from(u8::MAX));
                let wanted = Form {
                    far_yes: forms[index].far_yes || far(yes)?,
                    far_no: forms[index].far_no || far(no)?,
                };
                changed |= wanted != forms[index];
                forms[index] = wanted;
            }
            if !changed {
                return Ok((starts, forms));
            }
        }
    }

    fn distance(&self, label: Label, from: usize, starts: &[usize]) -> Result<usize, AssemblyError> {
        let op = self.labels[label.0].ok_or(AssemblyError::BadJump)?;
        starts[op].checked_sub(from).ok_or(AssemblyError::BadJump)
    }

    fn encode(
        &self,
        op: Op,
        form: Form,
        starts: &[usize],
        program: &mut Vec<Instruction>,
    ) -> Result<(), AssemblyError> {
        let plain = |code, k| Instruction { code, jt: 0, jf: 0, k };
        let jump = |label, at: usize| -> Result<Instruction, AssemblyError> {
            let distance = self.distance(label, at + 1, starts)?;
            Ok(plain(
                JMP_JA,
                u32::try_from(distance).map_err(|_| AssemblyError::BadJump)?,
            ))
        };
        let at = program.len();
        match op {
            Op::Load(offset) => program.push(plain(LD_W_ABS, offset)),
            Op::And(mask) => program.push(plain(ALU_AND_K, mask)),
            Op::Return(value) => program.push(plain(RET_K, value)),
            Op::Goto(label) => program.push(jump(label, at)?),
            Op::Branch {
                condition,
                value,
                yes,
                no,
            } => {
                let near = |label| -> Result<u8, AssemblyError> {
                    u8::try_from(self.distance(label, at + 1, starts)?).map_err(|_| AssemblyError::BadJump)
                };
                let code = match condition {
                    Condition::Equal => JMP_JEQ_K,
                    Condition::AtLeast => JMP_JGE_K,
                    Condition::Above => JMP_JGT_K,
                    Condition::AnyBit => JMP_JSET_K,
                };
                // The stepping stones follow the branch: first the one for yes, then the one for no.
                let jt = if form.far_yes { 0 } else { near(yes)? };
                let jf = if form.far_no { u8::from(form.far_yes) } else { near(no)? };
                program.push(Instruction { code, jt, jf, k: value });
                if form.far_yes {
                    program.push(jump(yes, program.len())?);
                }
                if form.far_no {
                    program.push(jump(no, program.len())?);
                }
            }
        }
        Ok(())
    }
}

/// Which jumps of a branch go by a stepping stone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Form {
    far_yes: bool,
    far_no: bool,
}

impl Form {
    fn length(self) -> usize {
        1 + usize::from(self.far_yes) + usize::from(self.far_no)
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::CallData;
    use super::super::sim::run;
    use super::*;

    /// A branch on the call number over `padding` instructions to one return, with the other return beyond it.
    fn branch_over(padding: usize) -> Vec<Instruction> {
        let mut code = Assembler::default();
        let (near, far) = (code.label(), code.label());
        code.load(0);
        code.branch(Condition::Equal, 7, far, near);
        code.place(near);
        for _ in 0..padding {
            code.and(u32::MAX);
        }
        code.ret(1);
        code.place(far);
        code.ret(2);
        code.finish().unwrap()
    }

    #[test]
    fn branch_reaches_its_target_on_both_sides_of_the_offset_limit() {
        for padding in [0, 1, 253, 254, 255, 256, 257, 1000, 4000] {
            let program = branch_over(padding);
            assert_eq!(program.len(), padding + 4 + usize::from(padding > 254), "{padding}");
            let answer = |number| {
                run(
                    &program,
                    &CallData {
                        number,
                        ..CallData::default()
                    },
                )
            };
            assert_eq!(answer(7), Some(2), "{padding}");
            assert_eq!(answer(8), Some(1), "{padding}");
        }
    }

    #[test]
    fn program_beyond_the_kernel_limit_is_refused_with_its_length() {
        let mut code = Assembler::default();
        for _ in 0..MAX_INSTRUCTIONS {
            code.and(0);
        }
        code.ret(0);
        assert_eq!(code.finish(), Err(AssemblyError::TooLong(4097)));
    }

    #[test]
    fn jump_backwards_is_refused() {
        let mut code = Assembler::default();
        let start = code.label();
        code.place(start);
        code.load(0);
        code.goto(start);
        assert_eq!(code.finish(), Err(AssemblyError::BadJump));
    }
}
