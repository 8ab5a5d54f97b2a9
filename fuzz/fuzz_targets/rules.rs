//! Filter rules against the program that they compile to.
//!
//! The bytes choose a filter, any that the types can express, and then calls. For every call the program, run by the
//! interpreter, must return what the rules say when they are read directly.

#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use sandlock::compile::AssemblyError;
use sandlock::compile::arch::Arch;
use sandlock::compile::filter::{Action, ArgumentTest, CallData, Clause, Compare, FilterSpec, Rule, Width};
use sandlock::compile::sim::run;

/// Most instructions that the kernel takes.
const MAX_INSTRUCTIONS: usize = 4096;

/// Enough rules for programs beyond that, few enough for thousands of filters a second.
const MAX_RULES: usize = 300;

/// The bit that marks x32 numbers.
const X32: u32 = 0x4000_0000;

fuzz_target!(|data: &[u8]| {
    // Bytes that end too early have chosen what they could.
    let _ = exercise(&mut Unstructured::new(data));
});

fn exercise(bytes: &mut Unstructured) -> Result<()> {
    let spec = filter(bytes)?;
    let program = match spec.compile() {
        Ok(program) => program,
        Err(AssemblyError::TooLong(length)) => {
            assert!(length > MAX_INSTRUCTIONS, "{length} instructions are not too many");
            return Ok(());
        }
        Err(error) => panic!("{error:?} for {spec:x?}"),
    };

    // What the kernel checks before it takes a program, whether or not a call ever gets there: a return at the end, and
    // no jump beyond it.
    assert!(program.len() <= MAX_INSTRUCTIONS);
    for (at, instruction) in program.iter().enumerate() {
        let farthest = match instruction.code {
            0x05 => instruction.k as usize,
            0x15 | 0x25 | 0x35 => usize::from(instruction.jt.max(instruction.jf)),
            _ => continue,
        };
        assert!(
            at + 1 + farthest < program.len(),
            "jump out of the program at {at}: {spec:x?}"
        );
    }
    assert_eq!(program.last().map(|last| last.code), Some(0x06), "{spec:x?}");

    let agree = |call: CallData| {
        assert_eq!(
            run(&program, &call),
            Some(spec.decide(&call).code()),
            "{call:x?} under {spec:x?}"
        );
    };

    // Every clause at its own values, and the numbers beside every rule.
    for (&number, rule) in &spec.rules {
        for clause in &rule.clauses {
            let edge = native_with(&spec, number, at_edge_of(clause));
            agree(edge);
            for test in &clause.tests {
                for bit in [1, 1 << 32] {
                    let mut beside = edge;
                    beside.arguments[usize::from(test.index)] ^= bit;
                    agree(beside);
                }
            }
        }
        for number in [number.wrapping_sub(1), number, number.wrapping_add(1), number ^ X32] {
            agree(native(&spec, number));
        }
    }
    for number in [0, spec.first_unknown.wrapping_sub(1), spec.first_unknown, X32, u32::MAX] {
        agree(native(&spec, number));
    }
    // And whatever else the bytes say.
    while !bytes.is_empty() {
        agree(call(bytes, &spec)?);
    }
    Ok(())
}

fn filter(bytes: &mut Unstructured) -> Result<FilterSpec> {
    let arch = *bytes.choose(&Arch::ALL)?;
    let first_unknown = match bytes.int_in_range(0..=3)? {
        0 => bytes.arbitrary()?,
        1 => bytes.int_in_range(0..=20)?,
        _ => arch.first_unknown(),
    };
    let mut spec = FilterSpec {
        arch,
        rules: [].into(),
        otherwise: action(bytes)?,
        first_unknown,
    };
    for _ in 0..bytes.int_in_range(0..=40)? {
        let (first, rule) = (number(bytes)?, rule(bytes)?);
        // A run of similar rules says in a few bytes what makes a program long. Where they differ in a value they
        // cannot share code; where they do not, they must.
        let (count, step, offset): (u8, u32, u64) = match bytes.int_in_range(0..=5)? {
            0 => (bytes.arbitrary()?, bytes.int_in_range(1..=3)?, value(bytes)?),
            1 => (bytes.arbitrary()?, bytes.int_in_range(1..=3)?, 0),
            _ => (1, 1, 0),
        };
        let mut similar = rule;
        for index in 0..u32::from(count) {
            if spec.rules.len() >= MAX_RULES {
                break;
            }
            spec.rules.insert(first.wrapping_add(index * step), similar.clone());
            for test in similar.clauses.iter_mut().flat_map(|clause| &mut clause.tests) {
                test.value = test.value.wrapping_add(offset);
            }
        }
    }
    Ok(spec)
}

fn number(bytes: &mut Unstructured) -> Result<u32> {
    Ok(match bytes.int_in_range(0..=7)? {
        0 => bytes.arbitrary()?,
        1 => X32 | bytes.int_in_range(0..=600)?,
        _ => bytes.int_in_range(0..=600)?,
    })
}

fn action(bytes: &mut Unstructured) -> Result<Action> {
    Ok(match bytes.int_in_range(0..=3)? {
        0 => Action::Allow,
        1 => Action::Errno(bytes.int_in_range(1..=4095)?),
        2 => Action::Kill,
        _ => Action::Notify,
    })
}

fn rule(bytes: &mut Unstructured) -> Result<Rule> {
    let mut rule = Rule::always(action(bytes)?);
    for _ in 0..bytes.int_in_range(0..=5)? {
        let mut clause = Clause {
            tests: Vec::new(),
            action: action(bytes)?,
        };
        for _ in 0..bytes.int_in_range(0..=4)? {
            clause.tests.push(test(bytes)?);
        }
        rule.clauses.push(clause);
    }
    Ok(rule)
}

fn test(bytes: &mut Unstructured) -> Result<ArgumentTest> {
    Ok(ArgumentTest {
        index: bytes.int_in_range(0..=5)?,
        width: *bytes.choose(&[Width::Word, Width::Long])?,
        mask: value(bytes)?,
        compare: *bytes.choose(&[Compare::Equal, Compare::NotEqual, Compare::AtLeast, Compare::AtMost])?,
        value: value(bytes)?,
    })
}

/// A number such as rules are made of: small, one bit, all bits, half of them, or any.
fn value(bytes: &mut Unstructured) -> Result<u64> {
    Ok(match bytes.int_in_range(0..=6)? {
        0 => bytes.arbitrary()?,
        1 => bytes.arbitrary::<u32>()?.into(),
        2 => 1 << bytes.int_in_range(0..=63)?,
        3 => u64::MAX,
        4 => u32::MAX.into(),
        5 => u64::from(bytes.arbitrary::<u32>()?) << 32,
        _ => bytes.arbitrary::<u8>()?.into(),
    })
}

fn native(spec: &FilterSpec, number: u32) -> CallData {
    CallData {
        number,
        arch: spec.arch.audit(),
        ..CallData::default()
    }
}

fn native_with(spec: &FilterSpec, number: u32, arguments: [u64; 6]) -> CallData {
    CallData {
        arguments,
        ..native(spec, number)
    }
}

/// Arguments that equal the values of `clause`, as far as its tests do not ask for different ones.
fn at_edge_of(clause: &Clause) -> [u64; 6] {
    let mut arguments = [0; 6];
    for test in &clause.tests {
        arguments[usize::from(test.index)] = test.value;
    }
    arguments
}

/// A call: mostly of a number that has a rule, with arguments near the values that the rule tests for.
fn call(bytes: &mut Unstructured, spec: &FilterSpec) -> Result<CallData> {
    let mut call = native(spec, number(bytes)?);
    call.instruction_pointer = bytes.arbitrary::<u8>()?.into();
    match bytes.int_in_range(0..=15)? {
        0 => call.arch = bytes.arbitrary()?,
        1 => call.arch = bytes.choose(&Arch::ALL)?.audit(),
        2 => call.arch ^= 1 << bytes.int_in_range(0..=31)?,
        _ => {}
    }
    if bytes.ratio(3, 4)? && !spec.rules.is_empty() {
        let index = bytes.choose_index(spec.rules.len())?;
        call.number = *spec.rules.keys().nth(index).unwrap_or(&0);
    }
    let clauses = spec.rules.get(&call.number).map_or(&[][..], |rule| &rule.clauses);
    if !clauses.is_empty() {
        call.arguments = at_edge_of(bytes.choose(clauses)?);
    }
    for _ in 0..bytes.int_in_range(0..=3)? {
        let argument = &mut call.arguments[bytes.choose_index(6)?];
        *argument = match bytes.int_in_range(0..=4)? {
            0 => argument.wrapping_add(1),
            1 => argument.wrapping_sub(1),
            2 => *argument ^ 1 << bytes.int_in_range(0..=63)?,
            3 => *argument | value(bytes)?,
            _ => value(bytes)?,
        };
    }
    Ok(call)
}
